//! What a feed reports, and under which names: notices, log records and metrics.
//!
//! None of them contains header values, query strings or payloads, since those hold credentials.
//!
//! # Notices
//! Each change is a [`Notice`](crate::core::Notice). [`FeedBuilder::on_notice`](crate::FeedBuilder::on_notice) passes
//! them to a function of the application.
//!
//! # Log records
//! Each notice is a `tracing` event with these fields:
//!
//! | field | value |
//! |---|---|
//! | `feed` | the feed's `telemetry_id` |
//! | `event` | [`Notice::name`](crate::core::Notice::name): `connecting`, `success`, `failure`, `disconnected`, `timeout`, `status`, `retry`, `stopped`, `pong`, `dropped`, `paused`, `resumed` |
//! | `connection` | the number of the connection or attempt |
//! | `reason` | [`Notice::reason`](crate::core::Notice::reason), such as `closed` or `idle_timeout` |
//!
//! What went wrong and is retried is logged as a warning, and a feed that stops without a shutdown as an error.
//!
//! # Metrics
//! The feature `metrics` records these through the [`metrics`](https://docs.rs/metrics) facade. All have the label
//! `feed`, with the feed's `telemetry_id`, and the labels of `FeedBuilder::metric_labels`. Give each feed of a process
//! a `telemetry_id` or labels of its own: feeds with the same labels overwrite each other's gauges.
//!
//! | name | type | unit | other labels | value |
//! |---|---|---|---|---|
//! | `tidegate_connections` | gauge | | `state` | 1 for the state of the current connection: `connecting`, `bootstrapping`, `live`, `closing` |
//! | `tidegate_connect_attempts_total` | counter | | `outcome` | attempts that ended: `success`, or the kind of the failure |
//! | `tidegate_connect_duration_seconds` | histogram | seconds | | time from the start of an attempt until it is live |
//! | `tidegate_disconnects_total` | counter | | `cause` | live connections that ended: `shutdown`, or the kind of the failure |
//! | `tidegate_retries` | gauge | | | retries in the current streak |
//! | `tidegate_stops_total` | counter | | `reason` | feeds that ended permanently: the kind of the reason |
//! | `tidegate_received_messages_total` | counter | | | messages received |
//! | `tidegate_received_bytes_total` | counter | bytes | | payload bytes received, of control frames too |
//! | `tidegate_items_total` | counter | | | items that the handler emitted |
//! | `tidegate_delivered_items_total` | counter | | | items given to the consumer |
//! | `tidegate_discarded_items_total` | counter | | | items that the overflow policy dropped |
//! | `tidegate_queue_items` | gauge | | | items in the queue |
//! | `tidegate_queue_bytes` | gauge | bytes | | weight of the items in the queue |
//! | `tidegate_demand_items` | gauge | | | items requested and not delivered yet |
//! | `tidegate_send_queue_frames` | gauge | | | frames accepted and not flushed yet |
//! | `tidegate_pause_duration_seconds` | histogram | seconds | | length of the pauses of reading |
//! | `tidegate_round_trip_seconds` | histogram | seconds | | time from a ping to its pong |
//! | `tidegate_stale_events_total` | counter | | | events about a connection that is gone |
//!
//! An attempt that a shutdown cuts short has no outcome. Gauges are 0 once their feed is gone. Names and meanings are
//! part of the API.
//!
//! A feed registers its metrics with the recorder that is installed when it is first polled, so install the recorder
//! before that.
