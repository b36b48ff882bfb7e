//! yawc: one connection. Text is checked for UTF-8, as the other clients do without being asked, and messages
//! of 1 MiB are let through.

use tidegate_bench_peers::{Job, Meter, run};
use yawc::{OpCode, Options, WebSocket};

fn main() {
    run(async {
        let job = Job::from_args();
        let mut meter = Meter::new(&job);
        let options =
            Options::default().with_utf8().with_max_payload_read(16 << 20).with_max_read_buffer(32 << 20);
        let mut socket = WebSocket::connect(job.url.parse()?).with_options(options).await?;
        loop {
            let frame = socket.next_frame().await?;
            if frame.opcode() == OpCode::Text {
                meter.message(frame.payload().len());
            }
        }
    });
}
