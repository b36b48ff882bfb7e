//! Numbered items: deliveries that fit one another, and deliveries that do not (D2, D4).

use tidegate_core::{ConnectionId, Continuity, Delivery, Discontinuity, Overflow};

type Numbered = Delivery<Option<u64>>;

const fn opened(connection: u64) -> Numbered {
    Delivery::Opened { id: ConnectionId::new(connection) }
}

const fn live(connection: u64) -> Numbered {
    Delivery::Live { id: ConnectionId::new(connection) }
}

const fn over(connection: u64) -> Numbered {
    Delivery::Interrupted { id: ConnectionId::new(connection), failure: None }
}

const fn dropped(count: u64) -> Numbered {
    Delivery::Dropped { count }
}

const fn item(number: u64) -> Numbered {
    Delivery::Item(Some(number))
}

/// The last delivery fits as it says, and all before it fit.
fn check(mut continuity: Continuity, deliveries: &[Numbered], last: Result<u64, Discontinuity>) {
    let (end, before) = deliveries.split_last().expect("not empty");
    let mut next = |delivery| continuity.check(delivery, |number| *number);
    before.iter().for_each(|delivery| assert!(next(delivery).is_ok(), "{delivery:?} of {deliveries:?}"));
    assert_eq!(next(end), last, "{deliveries:?}");
}

#[test]
fn what_a_handler_numbers_is_lost_where_the_policy_says() {
    use Overflow::{Disconnect, DropNewest, DropOldest, Pause};
    let lost = |count| Err(Discontinuity::Lost { count });
    let too_many = |announced, missing| Err(Discontinuity::Dropped { announced, missing });
    for (overflow, deliveries, last) in [
        (Pause, vec![item(0), live(1), item(1), over(1), opened(2), item(2)], Ok(0)),
        (Pause, vec![item(0), over(1), item(1)], Ok(0)),
        (Pause, vec![item(1)], lost(1)),
        (Pause, vec![item(0), item(2)], lost(1)),
        (Pause, vec![item(0), over(1), opened(2), item(3)], lost(2)),
        (Pause, vec![dropped(2)], too_many(2, 0)),
        (DropOldest, vec![item(0), dropped(2), dropped(1), item(4)], Ok(3)),
        (DropOldest, vec![item(0), dropped(2), item(3), item(5)], lost(1)),
        (DropOldest, vec![dropped(0)], too_many(0, 0)),
        (DropNewest, vec![item(0), dropped(2), item(2)], too_many(2, 1)),
        (DropNewest, vec![item(0), over(1), opened(2), dropped(2), item(4)], lost(1)),
        (Disconnect, vec![item(0), over(1), opened(2), item(4)], Ok(3)),
        (Disconnect, vec![item(0), over(1), opened(2), item(4), item(6)], lost(1)),
        (Disconnect, vec![item(0), over(1), item(1), opened(3), item(4)], Ok(2)),
        (Disconnect, vec![dropped(1)], too_many(1, 0)),
    ] {
        let deliveries = [vec![opened(1)], deliveries].concat();
        check(Continuity::numbered_by_handler(overflow, 0), &deliveries, last);
    }
}

#[test]
fn what_a_peer_numbers_starts_anywhere_and_is_lost_between_connections() {
    for (deliveries, last) in [
        (vec![item(7)], Ok(0)),
        (vec![item(7), over(1), opened(2), live(2), item(9)], Ok(1)),
        (vec![item(7), over(1), opened(2), dropped(1), item(10)], Ok(2)),
        (vec![item(7), live(1), item(9)], Err(Discontinuity::Lost { count: 1 })),
        (vec![item(u64::MAX), Delivery::Item(None)], Ok(0)),
    ] {
        let deliveries = [vec![opened(1)], deliveries].concat();
        check(Continuity::numbered_by_peer(Overflow::DropOldest), &deliveries, last);
    }
}

#[test]
fn nothing_comes_twice_or_out_of_order() {
    for deliveries in [
        vec![item(3), item(3)],
        vec![item(2), over(1), opened(2), item(3), over(2), opened(3), item(3)],
        vec![item(2), item(3), Delivery::Item(None), item(3)],
    ] {
        let deliveries = [vec![opened(1)], deliveries].concat();
        let repeated = Err(Discontinuity::Repeated { number: 3 });
        check(Continuity::numbered_by_peer(Overflow::Pause), &deliveries, repeated);
    }
}

#[test]
fn markers_fit_one_another_and_the_items() {
    let wrong = Err(Discontinuity::Marker);
    for (deliveries, last) in [
        (vec![opened(1), live(1), over(1), opened(2), over(2), opened(4)], Ok(0)),
        (vec![item(1)], wrong),
        (vec![Delivery::Item(None)], wrong),
        (vec![live(1)], wrong),
        (vec![over(1)], wrong),
        (vec![opened(1), opened(2)], wrong),
        (vec![opened(1), live(1), live(1)], wrong),
        (vec![opened(1), live(2)], wrong),
        (vec![opened(1), over(2)], wrong),
        (vec![opened(1), over(1), over(1)], wrong),
        (vec![opened(1), over(1), item(1)], wrong),
    ] {
        check(Continuity::numbered_by_peer(Overflow::Pause), &deliveries, last);
    }
}

#[test]
fn what_was_wrong_is_taken_as_given() {
    let mut continuity = Continuity::numbered_by_handler(Overflow::DropOldest, 0);
    let mut next = |delivery| continuity.check(&delivery, |number| *number);
    assert_eq!(next(opened(1)), Ok(0));
    assert_eq!(next(item(3)), Err(Discontinuity::Lost { count: 3 }));
    assert_eq!(next(item(4)), Ok(0));
    assert_eq!(next(opened(3)), Err(Discontinuity::Marker));
    assert_eq!(next(live(3)), Ok(0));
    assert_eq!(next(live(4)), Err(Discontinuity::Marker));
    assert_eq!(next(over(4)), Ok(0));
}

#[test]
fn a_marker_excuses_nothing_after_the_item_behind_it() {
    let mut continuity = Continuity::numbered_by_peer(Overflow::DropOldest);
    let mut next = |delivery| continuity.check(&delivery, |number| *number);
    for delivery in [opened(1), item(7), over(1), opened(2), dropped(1)] {
        assert_eq!(next(delivery), Ok(0));
    }
    assert_eq!(next(item(7)), Err(Discontinuity::Repeated { number: 7 }));
    assert_eq!(next(item(10)), Err(Discontinuity::Lost { count: 2 }));
}

#[test]
fn the_markers_say_which_connection_there_is_and_what_comes_next() {
    let mut continuity = Continuity::numbered_by_peer(Overflow::DropNewest);
    let id = Some(ConnectionId::new(1));
    assert_eq!((continuity.connection(), continuity.is_live(), continuity.next()), (None, false, None));
    for (delivery, connection, is_live, next) in [
        (opened(1), id, false, None),
        (item(7), id, false, Some(8)),
        (live(1), id, true, Some(8)),
        (dropped(2), id, true, Some(10)),
        (item(10), id, true, Some(11)),
        (over(1), None, false, Some(11)),
    ] {
        continuity.check(&delivery, |number| *number).unwrap();
        let told = (continuity.connection(), continuity.is_live(), continuity.next());
        assert_eq!(told, (connection, is_live, next));
    }
}

#[test]
fn a_discontinuity_says_what_is_wrong() {
    for (what, text) in [
        (Discontinuity::Lost { count: 2 }, "items missing without an announcement: 2"),
        (Discontinuity::Repeated { number: 7 }, "item 7 is repeated or out of order"),
        (Discontinuity::Dropped { announced: 2, missing: 1 }, "items announced as dropped: 2; missing: 1"),
        (Discontinuity::Marker, "the delivery does not fit the markers before it"),
    ] {
        assert_eq!(what.to_string(), text);
    }
}
