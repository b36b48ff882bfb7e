//! Demand: credit, bounds, overflow, and markers of broken continuity (D1-D5).

mod common;

use common::{Bench, Puppet, broken, id, interrupted, item, live, ms, names, notices, opened, patient};
use tidegate_core::{Config, Delivery, Failure, LocalFailure, Notice, Overflow, Phase};

/// Live, with its marker taken.
fn bench(items: usize, overflow: Overflow) -> Bench<Puppet> {
    let mut bench = Bench::new(patient().buffer(items).overflow(overflow), Puppet::default());
    bench.connect();
    assert_eq!(bench.deliveries(), [opened(1), live(1)]);
    bench
}

fn dropped<T>(count: u64) -> Delivery<T> {
    Delivery::Dropped { count }
}

#[test]
fn d1_items_wait_until_they_are_requested() {
    let mut bench = bench(10, Overflow::Pause);
    bench.text("item:a item:b item:c");
    assert_eq!(bench.deliveries(), []);
    assert_eq!(bench.request(2).deliveries(), [item("a"), item("b")]);
    assert_eq!(bench.deliveries(), []);
    assert_eq!(bench.request(1).deliveries(), [item("c")]);
    assert_eq!(bench.feed.stats().delivered, 3);
}

#[test]
fn d1_what_is_requested_in_advance_is_kept_and_adds_up() {
    let mut bench = bench(10, Overflow::Pause);
    bench.request(1).request(2);
    assert_eq!(bench.feed.stats().demand, 3);
    bench.text("item:a item:b item:c item:d");
    assert_eq!(bench.deliveries().len(), 3);
    assert_eq!(bench.feed.stats().demand, 0);
    bench.request(u64::MAX).request(u64::MAX);
    assert_eq!(bench.deliveries(), [item("d")]);
}

#[test]
fn d1_marks_cost_no_demand() {
    let mut bench = bench(10, Overflow::Pause);
    bench.lost();
    bench.connect();
    assert_eq!(bench.deliveries(), [interrupted(1, broken()), opened(2), live(2)]);
}

/// What `poll_item` leaves is for `poll_delivery`.
#[test]
fn d1_items_alone_come_while_there_is_demand_and_nothing_else_to_tell() {
    let mut bench = bench(3, Overflow::Pause);
    bench.text("item:a item:bc");
    assert_eq!(bench.feed.poll_item(), None, "nothing was requested");
    bench.request(9);
    assert_eq!(bench.feed.poll_item(), Some(("a".to_owned(), 100)));
    assert_eq!((bench.feed.stats().delivered, bench.feed.stats().demand), (1, 8));
    bench.lost();
    assert_eq!(bench.feed.poll_item(), None, "a marker is to come");
    assert_eq!(bench.deliveries(), [item("bc"), interrupted(1, broken())]);

    bench.connect();
    assert_eq!(bench.deliveries(), [opened(2), live(2)]);
    bench.text("item:d item:e item:f");
    assert_eq!(bench.feed.poll_item(), None, "reading is paused");
    assert_eq!(bench.deliveries(), [item("d"), item("e"), item("f")]);
    assert!(bench.feed.wants_frames());
}

#[test]
fn d2_items_come_out_in_order_once_across_connections() {
    let mut bench = bench(10, Overflow::Pause);
    bench.text("item:a");
    bench.text("item:b item:c");
    bench.lost();
    bench.connect();
    bench.text("item:d");
    let expected = [item("a"), item("b"), item("c"), interrupted(1, broken()), opened(2), live(2), item("d")];
    assert_eq!(bench.request(99).deliveries(), expected);
    assert_eq!(bench.deliveries(), []);
}

#[test]
fn d3_the_bound_in_items_holds_but_for_the_frame_in_hand() {
    let mut bench = bench(3, Overflow::Pause);
    bench.text("item:a item:b");
    assert!(bench.feed.wants_frames(), "one below the bound");
    bench.text("item:c item:d item:e");
    assert!(!bench.feed.wants_frames());
    assert_eq!(bench.feed.stats().queued, 5);
}

#[test]
fn d3_the_bound_in_bytes_holds_as_the_handler_weighs_items() {
    let mut bench = Bench::new(patient().buffer_bytes(1000), Puppet::default());
    bench.connect();
    bench.text("item:123456789");
    assert!(bench.feed.wants_frames());
    bench.text("item:01234");
    assert!(!bench.feed.wants_frames());
    assert_eq!(bench.feed.stats().queued_bytes, 1400);
    bench.request(1).deliveries();
    assert!(bench.feed.wants_frames());
    assert_eq!(bench.feed.stats().queued_bytes, 500);
}

#[test]
fn d3_pass_through_weighs_payloads() {
    let mut bench = Bench::plain(patient());
    bench.connect();
    bench.text(&"x".repeat(100));
    assert_eq!(bench.feed.stats().queued_bytes, 100);
}

/// Empty messages would otherwise cost nothing, and take memory all the same.
#[test]
fn d3_an_item_weighs_its_own_size_at_least() {
    let mut bench = Bench::plain(patient());
    bench.connect();
    bench.text("");
    assert_eq!(bench.feed.stats().queued_bytes, size_of::<tidegate_core::Message>() as u64);
}

#[test]
fn d3_a_data_frame_handed_in_while_reading_is_paused_ends_the_connection() {
    let mut bench = bench(1, Overflow::Pause);
    bench.text("item:a");
    assert_eq!(bench.frame(tidegate_core::Frame::Ping(bytes::Bytes::new())), [], "but a ping does not");
    assert_eq!(names(&bench.text("item:b")), ["status", "disconnected", "Abort", "retry"]);
    assert_eq!(bench.feed.stats().queued, 1);
    assert_eq!(
        bench.request(9).deliveries(),
        [item("a"), interrupted(1, Failure::Local(LocalFailure::Overflow))]
    );
}

#[test]
fn d4_pause_holds_reading_back_until_the_queue_is_half_empty() {
    let mut bench = bench(4, Overflow::Pause);
    assert_eq!(names(&bench.text("item:a item:b item:c item:d")), ["paused"]);
    bench.request(1).deliveries();
    assert!(!bench.feed.wants_frames(), "three of four are left");
    bench.request(1).deliveries();
    assert!(bench.feed.wants_frames(), "two of four are left");
    assert_eq!(names(&bench.actions()), ["resumed"]);
    assert_eq!(names(&bench.text("item:e")), [""; 0], "and it is not paused again before it is full");
}

#[test]
fn d4_pause_waits_for_bytes_as_well() {
    let mut bench = Bench::new(patient().buffer_bytes(800), Puppet::default());
    bench.connect();
    bench.text("item:ab item:cdefgh");
    bench.request(1).deliveries();
    assert!(!bench.feed.wants_frames(), "six of eight bytes are left");
    bench.request(1).deliveries();
    assert!(bench.feed.wants_frames());
}

#[test]
fn d4_a_new_connection_starts_held_back_if_the_queue_is_still_full() {
    let mut bench = bench(2, Overflow::Pause);
    bench.text("item:a item:b");
    bench.lost();
    assert_eq!(names(&bench.connect()), ["paused", "success", "status"]);
    assert!(!bench.feed.wants_frames());
    bench.request(1).deliveries();
    assert!(bench.feed.wants_frames());
}

#[test]
fn d4_a_queue_drained_between_two_connections_holds_nothing_back() {
    let mut bench = bench(2, Overflow::Pause);
    bench.text("item:a item:b");
    bench.lost();
    bench.request(9).deliveries();
    assert_eq!(names(&bench.connect()), ["success", "status"]);
    assert!(bench.feed.wants_frames());
}

#[test]
fn d4_drop_oldest_drops_from_the_front_and_says_where() {
    let mut bench = bench(2, Overflow::DropOldest);
    bench.text("item:a item:b");
    let actions = bench.text("item:c item:d item:e");
    assert_eq!(notices(&actions), [Notice::Dropped { count: 3 }]);
    assert!(bench.feed.wants_frames(), "dropping never holds reading back");
    assert_eq!(bench.feed.stats().queued, 2);
    assert_eq!(bench.request(9).deliveries(), [dropped(3), item("d"), item("e")]);
    assert_eq!(bench.feed.stats().dropped, 3);
}

#[test]
fn d4_drop_oldest_makes_room_in_bytes_as_well() {
    let config = patient().buffer_bytes(800).overflow(Overflow::DropOldest);
    let mut bench = Bench::new(config, Puppet::default());
    bench.connect();
    bench.deliveries();
    bench.text("item:abcd item:efgh item:ij");
    assert_eq!(bench.request(9).deliveries(), [dropped(1), item("efgh"), item("ij")]);
}

#[test]
fn d4_drop_newest_drops_at_the_end_and_says_where() {
    let mut bench = bench(2, Overflow::DropNewest);
    bench.text("item:a item:b item:c item:d");
    bench.request(1);
    assert_eq!(bench.deliveries(), [item("a")]);
    bench.text("item:e");
    assert_eq!(bench.request(9).deliveries(), [item("b"), dropped(2), item("e")]);
    assert_eq!(bench.feed.stats().dropped, 2);
}

#[test]
fn d4_what_a_policy_drops_it_says() {
    for &overflow in Overflow::ALL {
        let mut bench = bench(2, overflow);
        bench.text("item:a item:b item:c");
        assert_eq!(bench.feed.stats().dropped > 0, overflow.drops(), "{overflow:?}");
    }
    assert_eq!(Overflow::ALL[0], Overflow::default());
}

#[test]
fn d4_disconnect_ends_the_connection_and_keeps_what_is_queued() {
    let mut bench = bench(2, Overflow::Disconnect);
    bench.text("item:a item:b");
    bench.assert_phase(Phase::Live);
    let actions = bench.text("item:c");
    assert_eq!(names(&actions), ["status", "disconnected", "Abort", "retry"]);
    let expected = [item("a"), item("b"), interrupted(1, Failure::Local(LocalFailure::Overflow))];
    assert_eq!(bench.request(9).deliveries(), expected);
}

/// D3: the bound is judged between frames: a snapshot that is larger finds an empty queue.
#[test]
fn d4_disconnect_judges_the_consumer_and_not_the_size_of_a_message() {
    let mut bench = bench(2, Overflow::Disconnect);
    bench.request(100);
    for _ in 0..3 {
        bench.text("item:a item:b item:c item:d");
        assert_eq!(bench.deliveries(), [item("a"), item("b"), item("c"), item("d")]);
    }
    bench.assert_phase(Phase::Live);
}

#[test]
fn d4_one_notice_tells_of_all_drops_that_were_not_taken_yet() {
    let mut bench = bench(1, Overflow::DropNewest);
    for _ in 0..3 {
        let frame = common::text("item:a item:b");
        bench.feed.handle(tidegate_core::Event::Frame { id: id(1), frame }, common::at(0));
    }
    assert_eq!(notices(&bench.actions()), [Notice::Dropped { count: 5 }]);
}

#[test]
fn marks_between_the_same_two_items_fold() {
    let mut bench = bench(10, Overflow::Pause);
    bench.text("item:a");
    for _ in 0..1000 {
        bench.lost();
        bench.connect();
    }
    bench.text("item:b");
    let expected = [item("a"), interrupted(1, broken()), opened(1001), live(1001), item("b")];
    assert_eq!(bench.request(9).deliveries(), expected);
}

#[test]
fn a_connection_that_came_and_went_without_an_item_leaves_no_trace() {
    let mut bench = bench(10, Overflow::Pause);
    bench.text("item:a");
    bench.lost();
    bench.connect();
    bench.lost();
    assert_eq!(bench.request(9).deliveries(), [item("a"), interrupted(1, broken())]);
    bench.connect();
    bench.lost();
    assert_eq!(bench.deliveries(), [], "the consumer knows already that it is cut off");
}

#[test]
fn an_end_that_the_consumer_must_know_of_is_never_folded_away() {
    let mut bench = bench(10, Overflow::Pause);
    bench.lost();
    bench.connect();
    assert_eq!(bench.deliveries(), [interrupted(1, broken()), opened(2), live(2)]);
    bench.lost();
    assert_eq!(bench.deliveries(), [interrupted(2, broken())], "its Live had been taken");
}

#[test]
fn the_end_of_a_connection_whose_bootstrap_emitted_is_told_even_next_to_its_live() {
    let mut bench = Bench::new(patient(), Puppet::default().declares());
    bench.connect();
    bench.request(9).text("item:a");
    bench.text("ready");
    bench.assert_phase(Phase::Live);
    bench.lost();
    assert_eq!(bench.deliveries(), [opened(1), item("a"), interrupted(1, broken())]);
}

#[test]
fn d4_drops_next_to_a_change_of_connections_come_after_it() {
    let mut bench = bench(2, Overflow::DropOldest);
    bench.text("item:a");
    bench.lost();
    bench.connect();
    bench.text("item:b item:c");
    let expected = [interrupted(1, broken()), opened(2), live(2), dropped(1), item("b"), item("c")];
    assert_eq!(bench.request(9).deliveries(), expected);
}

#[test]
fn d4_a_connection_dropped_whole_leaves_the_count_alone() {
    let mut bench = bench(2, Overflow::DropOldest);
    bench.text("item:a");
    bench.lost();
    bench.connect();
    bench.text("item:b");
    bench.lost();
    bench.connect();
    bench.text("item:c item:d");
    let expected = [interrupted(1, broken()), opened(3), live(3), dropped(2), item("c"), item("d")];
    assert_eq!(bench.request(9).deliveries(), expected);
}

#[test]
fn an_idle_consumer_is_not_owed_more_than_the_bound_however_often_the_feed_flaps() {
    let mut bench = bench(4, Overflow::DropOldest);
    for _ in 0..500 {
        bench.text("item:a");
        bench.lost();
        bench.connect();
    }
    assert!(bench.request(999).deliveries().len() <= 4 * 4 + 4);
}

#[test]
fn d5_the_window_asks_for_max_and_again_at_min() {
    let config = Config::builder().min_demand(10).max_demand(100).build().unwrap();
    let mut window = config.demand_window();
    assert_eq!(window.top_up(), Some(100));
    assert_eq!(window.top_up(), None);
    for _ in 0..89 {
        window.taken();
        assert_eq!(window.top_up(), None);
    }
    window.taken();
    assert_eq!(window.top_up(), Some(90), "ten are outstanding");
    assert_eq!(window.top_up(), None);
}

#[test]
fn d5_two_thousand_are_asked_for_by_default_and_again_at_half() {
    assert_eq!(Config::default().demand_window().top_up(), Some(2000));
    for max in 1..10 {
        let config = Config::builder().max_demand(max).build().unwrap();
        assert_eq!(config.min_demand(), max / 2);
    }
}

#[test]
fn d5_with_a_minimum_of_zero_it_asks_when_nothing_is_outstanding() {
    let config = Config::builder().min_demand(0).max_demand(1).build().unwrap();
    let mut window = config.demand_window();
    assert_eq!(window.top_up(), Some(1));
    assert_eq!(window.top_up(), None);
    window.taken();
    assert_eq!(window.top_up(), Some(1));
    window.taken();
    window.taken();
    assert_eq!(window.top_up(), Some(1), "never more than max, whatever is counted as taken");
}

#[test]
fn a_paused_feed_polled_without_demand_stays_paused() {
    let mut bench = Bench::new(patient().buffer(1).idle_timeout(ms(10)), Puppet::default());
    bench.connect();
    bench.text("item:a");
    assert_eq!(bench.at(100).deliveries(), [opened(1), live(1)]);
    assert!(!bench.feed.wants_frames());
    bench.assert_no_deadline();
}

#[test]
fn a_feed_shows_its_state_and_no_payload() {
    let mut bench = Bench::plain(patient());
    bench.connect();
    bench.text(&"s3cret".repeat(10));
    let shown = format!("{:?}", bench.feed);
    for part in ["Live {", "state: Open(1, Liveness {", "items: [60]", "bytes: 60"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(!shown.contains("s3cret"), "{shown}");
}
