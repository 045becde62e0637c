//! Writing log lines without ever waiting for whoever reads them.
//!
//! A log that cannot be written, or that nobody reads, must not keep the plugin from answering the runtime:
//! a late or missing answer costs it its connection, and then containers start bare. So lines are queued for
//! a thread of their own, and what does not fit or cannot be written is lost.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Most lines that wait.
const QUEUE: usize = 4096;

enum Job {
    Line(Vec<u8>),
    /// Answers once everything before it is written.
    Flush(SyncSender<()>),
}

/// The queue of log lines. Clones share it.
#[derive(Clone, Debug)]
pub struct LogWriter {
    queue: SyncSender<Job>,
}

impl LogWriter {
    pub(super) fn start(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (queue, jobs) = sync_channel(QUEUE);
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || work(out, &jobs))?;
        Ok(Self { queue })
    }

    /// Waits until everything logged so far is written, but no longer than `limit`.
    pub fn flush(&self, limit: Duration) {
        let (done, wait) = sync_channel(1);
        if self.queue.try_send(Job::Flush(done)).is_ok() {
            let _ = wait.recv_timeout(limit);
        }
    }
}

fn work(mut out: impl Write, jobs: &Receiver<Job>) {
    for job in jobs {
        // There is nobody to tell of an error.
        let _ = match job {
            Job::Line(line) => out.write_all(&line),
            Job::Flush(done) => {
                let _ = done.send(());
                Ok(())
            }
        };
    }
}

impl Write for &LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let _ = self.queue.try_send(Job::Line(line.to_vec()));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// Keeps what is written, and fails every second time.
    #[derive(Clone, Default)]
    struct Fragile(Arc<Mutex<(usize, Vec<u8>)>>);

    impl Write for Fragile {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            let mut state = self.0.lock().unwrap();
            state.0 += 1;
            if state.0.is_multiple_of(2) {
                return Err(io::Error::other("broken"));
            }
            state.1.extend_from_slice(line);
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_arrive_in_order_and_errors_do_not_end_it() {
        let out = Fragile::default();
        let writer = LogWriter::start(out.clone()).unwrap();
        for line in [b"a", b"b", b"c"] {
            (&writer).write_all(line).unwrap();
        }
        writer.flush(LONG);
        assert_eq!(out.0.lock().unwrap().1, b"ac");
    }

    #[test]
    fn a_reader_that_does_not_read_holds_nobody_up() {
        let (reader, pipe) = io::pipe().unwrap();
        let writer = LogWriter::start(pipe).unwrap();
        for _ in 0..3 * QUEUE {
            (&writer).write_all(&[b'x'; 1000]).unwrap();
        }
        drop(reader);
    }
}
