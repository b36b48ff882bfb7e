//! Numbered items: deliveries that fit one another, and deliveries that do not (D2, D4).

use tidegate_core::{ConnectionId, Continuity, Delivery, Discontinuity, Overflow};

type Numbered = Delivery<Option<(u64, ConnectionId)>>;

const fn live(connection: u64) -> Numbered {
    Delivery::Live { id: ConnectionId::new(connection) }
}

const fn over(connection: u64) -> Numbered {
    Delivery::Interrupted { id: ConnectionId::new(connection), failure: None }
}

const fn dropped(count: u64) -> Numbered {
    Delivery::Dropped { count }
}

const fn item(number: u64, connection: u64) -> Numbered {
    Delivery::Item(Some((number, ConnectionId::new(connection))))
}

const fn marker(connection: u64) -> Discontinuity {
    Discontinuity::Marker { connection: ConnectionId::new(connection) }
}

/// The last delivery fits as it says, and all before it fit.
fn check(mut continuity: Continuity, deliveries: &[Numbered], last: Result<u64, Discontinuity>) {
    let (end, before) = deliveries.split_last().expect("not empty");
    let mut next = |delivery| continuity.check(delivery, |numbered| *numbered);
    before.iter().for_each(|delivery| assert!(next(delivery).is_ok(), "{delivery:?} of {deliveries:?}"));
    assert_eq!(next(end), last, "{deliveries:?}");
}

#[test]
fn what_a_handler_numbers_is_lost_where_the_policy_says() {
    use Overflow::{Disconnect, DropNewest, DropOldest, Pause};
    let lost = |count| Err(Discontinuity::Lost { count });
    let too_many = |announced, missing| Err(Discontinuity::Dropped { announced, missing });
    for (overflow, deliveries, last) in [
        (Pause, vec![item(0, 1), live(1), item(1, 1), over(1), live(2), item(2, 2)], Ok(0)),
        (Pause, vec![item(1, 1)], lost(1)),
        (Pause, vec![item(0, 1), item(2, 1)], lost(1)),
        (Pause, vec![item(0, 1), over(1), item(3, 2)], lost(2)),
        (Pause, vec![dropped(2)], too_many(2, 0)),
        (DropOldest, vec![item(0, 1), dropped(2), dropped(1), item(4, 1)], Ok(3)),
        (DropOldest, vec![item(0, 1), dropped(2), item(3, 1), item(5, 1)], lost(1)),
        (DropOldest, vec![dropped(0)], too_many(0, 0)),
        (DropNewest, vec![item(0, 1), dropped(2), item(2, 1)], too_many(2, 1)),
        (DropNewest, vec![item(0, 1), over(1), dropped(2), item(4, 2)], lost(1)),
        (Disconnect, vec![item(0, 1), over(1), item(4, 2)], Ok(3)),
        (Disconnect, vec![item(0, 1), over(1), item(4, 2), item(6, 2)], lost(1)),
        (Disconnect, vec![dropped(1)], too_many(1, 0)),
    ] {
        check(Continuity::numbered_by_handler(overflow, 0), &deliveries, last);
    }
}

#[test]
fn what_a_peer_numbers_starts_anywhere_and_is_lost_between_connections() {
    for (deliveries, last) in [
        (vec![item(7, 1)], Ok(0)),
        (vec![item(7, 1), over(1), live(2), item(9, 2)], Ok(1)),
        (vec![item(7, 1), over(1), live(2), dropped(1), item(10, 2)], Ok(2)),
        (vec![item(7, 1), live(1), item(9, 1)], Err(Discontinuity::Lost { count: 1 })),
        (vec![item(u64::MAX, 1), Delivery::Item(None)], Ok(0)),
    ] {
        check(Continuity::numbered_by_peer(Overflow::DropOldest), &deliveries, last);
    }
}

#[test]
fn nothing_comes_twice_or_out_of_order() {
    for deliveries in [
        vec![item(3, 1), item(3, 1)],
        vec![item(2, 1), over(1), item(3, 2), over(2), live(3), item(3, 3)],
        vec![item(2, 1), item(3, 1), Delivery::Item(None), item(3, 1)],
    ] {
        let repeated = Err(Discontinuity::Repeated { number: 3 });
        check(Continuity::numbered_by_peer(Overflow::Pause), &deliveries, repeated);
    }
}

#[test]
fn markers_fit_one_another_and_the_items() {
    for (deliveries, last) in [
        (vec![live(1), over(1), over(2), live(4)], Ok(0)),
        (vec![live(1), live(2)], Err(marker(2))),
        (vec![live(2), over(2), live(2)], Err(marker(2))),
        (vec![live(1), over(2)], Err(marker(2))),
        (vec![live(1), over(1), over(1)], Err(marker(1))),
        (vec![over(5), live(4)], Err(marker(4))),
        (vec![over(5), over(4)], Err(marker(4))),
        (vec![item(1, 1), item(2, 2)], Err(marker(2))),
        (vec![item(1, 1), over(1), item(2, 1)], Err(marker(1))),
    ] {
        check(Continuity::numbered_by_peer(Overflow::Pause), &deliveries, last);
    }
}

#[test]
fn what_was_wrong_is_taken_as_given() {
    let mut continuity = Continuity::numbered_by_handler(Overflow::DropOldest, 0);
    let mut next = |delivery| continuity.check(&delivery, |numbered| *numbered);
    assert_eq!(next(item(3, 1)), Err(Discontinuity::Lost { count: 3 }));
    assert_eq!(next(item(4, 1)), Ok(0));
    assert_eq!(next(live(2)), Ok(0));
    assert_eq!(next(live(3)), Err(marker(3)));
    assert_eq!(next(over(3)), Ok(0));
    assert_eq!(next(over(2)), Err(marker(2)));
    assert_eq!(next(live(3)), Err(marker(3)));
    assert_eq!(continuity.live(), Some(ConnectionId::new(3)));
}

#[test]
fn a_marker_excuses_nothing_after_the_item_behind_it() {
    let mut continuity = Continuity::numbered_by_peer(Overflow::DropOldest);
    let mut next = |delivery| continuity.check(&delivery, |numbered| *numbered);
    for delivery in [live(1), item(7, 1), over(1), live(2), dropped(1)] {
        assert_eq!(next(delivery), Ok(0));
    }
    assert_eq!(next(item(7, 2)), Err(Discontinuity::Repeated { number: 7 }));
    assert_eq!(next(item(10, 2)), Err(Discontinuity::Lost { count: 2 }));
}

#[test]
fn the_end_of_what_was_delivered_is_delivered() {
    let [first, second] = [1, 2].map(ConnectionId::new);
    for (deliveries, open, taken) in [
        (&[][..], None, Ok(())),
        (&[live(1), item(0, 1)], Some(first), Ok(())),
        (&[live(1), item(0, 1)], None, Err(marker(1))),
        (&[item(0, 1)], Some(second), Err(marker(1))),
        (&[live(1)], Some(second), Err(marker(1))),
        (&[item(0, 1), over(1)], None, Ok(())),
        (&[item(0, 1), over(1), live(2)], None, Err(marker(2))),
    ] {
        let mut continuity = Continuity::numbered_by_peer(Overflow::Pause);
        for delivery in deliveries {
            continuity.check(delivery, |numbered| *numbered).unwrap();
        }
        assert_eq!(continuity.taken(open), taken, "{deliveries:?}");
    }
}

#[test]
fn the_next_number_is_behind_what_was_dropped() {
    let mut continuity = Continuity::numbered_by_peer(Overflow::DropNewest);
    assert_eq!(continuity.next(), None);
    for (delivery, next) in [(item(7, 1), 8), (dropped(2), 10), (item(10, 1), 11)] {
        continuity.check(&delivery, |numbered| *numbered).unwrap();
        assert_eq!(continuity.next(), Some(next));
    }
}

#[test]
fn a_discontinuity_says_what_is_wrong() {
    for (what, text) in [
        (Discontinuity::Lost { count: 2 }, "items missing without an announcement: 2"),
        (Discontinuity::Repeated { number: 7 }, "item 7 is repeated or out of order"),
        (Discontinuity::Dropped { announced: 2, missing: 1 }, "items announced as dropped: 2; missing: 1"),
        (marker(3), "a marker or item of connection 3 does not fit the markers before it"),
    ] {
        assert_eq!(what.to_string(), text);
    }
}
