//! Whether containers of the configured handlers can be sandboxed, from what others know already.

use std::sync::Arc;

use crate::config::Config;
use crate::connection::Connection;
use crate::readiness::{ProfileCount, Readiness};

/// What the endpoints say of the node. Nothing here waits for a disk or for the runtime.
#[derive(Clone, Debug)]
pub struct Health {
    unguarded_handlers: String,
    readiness: Arc<Readiness>,
    connection: Arc<Connection>,
}

impl Health {
    /// The health of a node that is configured as `config` says.
    pub fn new(config: &Config, readiness: Arc<Readiness>, connection: Arc<Connection>) -> Self {
        Self {
            unguarded_handlers: config.unguarded_handlers(),
            readiness,
            connection,
        }
    }

    /// Why containers of the configured handlers cannot be sandboxed, and the way out: one sentence for each reason, none
    /// if they can.
    pub fn obstacles(&self) -> Vec<String> {
        let connection = self.connection.obstacle();
        let node = self.readiness.obstacle();
        connection
            .into_iter()
            .chain(node)
            .chain(self.runtime())
            .collect()
    }

    /// Handlers with the guard work on any runtime.
    fn runtime(&self) -> Option<String> {
        if self.unguarded_handlers.is_empty() {
            return None;
        }
        let error = self.connection.check_runtime().err()?;
        let handlers = &self.unguarded_handlers;
        Some(format!("containers of {handlers} are refused: {error}"))
    }

    /// Whether a runtime has the plugin in service.
    pub fn is_connected(&self) -> bool {
        self.connection.is_in_service()
    }

    /// How many profiles there are.
    pub fn profiles(&self) -> ProfileCount {
        self.readiness.count()
    }
}
