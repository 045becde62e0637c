//! Error replies.
//!
//! Invariant: the codes are ones that no runtime gives a meaning of its own. UNIMPLEMENTED makes runtimes fall
//! back to StateChange, RESOURCE_EXHAUSTED makes them retry Synchronize in chunks, and DEADLINE_EXCEEDED is too
//! close to the runtime's own time-out, after which it would drop the plugin and run the container unadjusted.

use std::fmt;

use ttrpc::Code;
use ttrpc::proto::Status;

use crate::identity::Identity;

/// Longest text of a reply in bytes: it must fit into a log line, and into the reply's first frame.
const TEXT_LIMIT: usize = 3072;

/// Why a request is answered with an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    code: Code,
    reason: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl Failure {
    /// The handler returned an error.
    pub(crate) fn refused(reason: String) -> Self {
        Self::new(Code::UNKNOWN, reason)
    }

    /// The handler panicked.
    pub(crate) fn panicked(reason: String) -> Self {
        Self::new(Code::INTERNAL, reason)
    }

    /// The handler did not finish, or not even start, in time.
    pub(crate) fn late(reason: String) -> Self {
        Self::new(Code::ABORTED, reason)
    }

    /// The request cannot be understood.
    pub(crate) fn malformed(reason: impl Into<String>) -> Self {
        Self::new(Code::INVALID_ARGUMENT, reason.into())
    }

    /// The runtime lacks a capability that the result needs, or the plugin cannot work with it.
    pub(crate) fn unsupported(reason: String) -> Self {
        Self::new(Code::FAILED_PRECONDITION, reason)
    }

    /// The result does not fit into a message.
    pub(crate) fn oversize(reason: String) -> Self {
        Self::new(Code::OUT_OF_RANGE, reason)
    }

    fn new(code: Code, reason: String) -> Self {
        Self { code, reason }
    }

    /// The reply, naming the plugin, the method and the pod or container.
    pub(crate) fn into_status(self, plugin: &Identity, method: &str, subject: &str) -> Status {
        let mut text = format!("nri plugin {plugin}: {method}");
        if !subject.is_empty() {
            text.push_str(" of ");
            text.push_str(subject);
        }
        text.push_str(": ");
        text.push_str(&self.reason);
        if text.len() > TEXT_LIMIT {
            text.truncate(text.floor_char_boundary(TEXT_LIMIT));
            text.push_str(" [cut]");
        }
        ttrpc::get_status(self.code, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity::new("nono".into(), "10".into()).unwrap()
    }

    #[test]
    fn names_plugin_method_subject_and_reason() {
        let status = Failure::refused("no such profile".into()).into_status(
            &identity(),
            "CreateContainer",
            "container c1",
        );
        assert_eq!(
            status.message,
            "nri plugin 10-nono: CreateContainer of container c1: no such profile"
        );
    }

    #[test]
    fn long_reasons_are_cut_between_characters() {
        let status = Failure::refused("ä".repeat(10_000)).into_status(&identity(), "X", "");
        assert!(status.message.len() < TEXT_LIMIT + 10);
        assert!(status.message.ends_with("ä [cut]"));
    }
}
