//! Logs: one JSON object a line, or coloured text on a terminal.

mod writer;

use std::fmt;
use std::io::{self, IsTerminal as _};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

pub use self::writer::LogWriter;
use crate::cli::LogLevel;

/// Starts logging to standard error. JSON unless standard error is a terminal and `json` is off.
///
/// # Errors
///
/// Fails if the thread that writes cannot be started.
pub fn init(json: bool, level: LogLevel) -> io::Result<LogWriter> {
    let level = match level {
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Info => Level::INFO,
        LogLevel::Warn => Level::WARN,
        LogLevel::Error => Level::ERROR,
    };
    let writer = LogWriter::start(io::stderr())?;
    let builder = tracing_subscriber::fmt()
        .with_max_level(level)
        // It would print to standard error, and panic if that is what does not work.
        .log_internal_errors(false)
        .with_writer(writer.clone());
    if json || !io::stderr().is_terminal() {
        builder.event_format(JsonLines).init();
    } else {
        let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        builder.event_format(Text { colour }).init();
    }
    Ok(writer)
}

/// `{"time":…,"level":…,"msg":…,FIELDS}`.
struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::of(event);
        let mut line = Map::new();
        line.insert("time".into(), now().into());
        line.insert("level".into(), event.metadata().level().as_str().into());
        line.insert(
            "msg".into(),
            fields.0.shift_remove("message").unwrap_or_default(),
        );
        line.append(&mut fields.0);
        writeln!(out, "{}", Value::Object(line))
    }
}

/// `TIME LEVEL MESSAGE key=value …`.
struct Text {
    colour: bool,
}

impl<S, N> FormatEvent<S, N> for Text
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::of(event);
        let level = event.metadata().level();
        let (on, off) = match (self.colour, *level) {
            (false, _) => ("", ""),
            (true, Level::ERROR) => ("\x1b[31m", "\x1b[0m"),
            (true, Level::WARN) => ("\x1b[33m", "\x1b[0m"),
            (true, _) => ("\x1b[32m", "\x1b[0m"),
        };
        let message = fields.0.shift_remove("message").unwrap_or_default();
        write!(
            out,
            "{} {on}{level:>5}{off} {}",
            now(),
            message.as_str().unwrap_or_default()
        )?;
        for (key, value) in &fields.0 {
            write!(out, " {key}={value}")?;
        }
        writeln!(out)
    }
}

fn now() -> String {
    jiff::Timestamp::now().to_string()
}

/// The fields of an event, in the order in which the code states them.
struct Fields(Map<String, Value>);

impl Fields {
    fn of(event: &Event<'_>) -> Self {
        let mut fields = Self(Map::new());
        event.record(&mut fields);
        fields
    }

    fn set(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, format!("{value:?}"));
    }
}
