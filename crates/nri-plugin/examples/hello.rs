//! Greets every new container with an environment variable: `cargo run --example hello [SOCKET]`.

use std::sync::Arc;

use nri_plugin::api::{Container, ContainerUpdate, PodSandbox};
use nri_plugin::{
    Adjustment, CallContext, DEFAULT_SOCKET, Event, EventSet, Handler, HandlerError, PluginRunner,
};

struct Hello;

#[rustfmt::skip]
impl Handler for Hello {
    fn events(&self) -> EventSet {
        EventSet::from(Event::CreateContainer)
    }

    fn synchronize(&self, _: &CallContext, _: Vec<PodSandbox>, containers: Vec<Container>) -> Result<Vec<ContainerUpdate>, HandlerError> {
        eprintln!("{} containers exist", containers.len());
        Ok(Vec::new())
    }

    fn create_container(&self, _: &CallContext, pod: &PodSandbox, container: &Container) -> Result<Adjustment, HandlerError> {
        eprintln!("new: {}/{}/{}", pod.namespace, pod.name, container.name);
        Ok(Adjustment::new().env("HELLO", &container.name))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let socket = std::env::args().nth(1);
    let runner = PluginRunner::new("hello", "50", Arc::new(Hello))?
        .socket(socket.as_deref().unwrap_or(DEFAULT_SOCKET))
        .from_environment()?;
    let interrupted = async { drop(tokio::signal::ctrl_c().await) };
    Ok(runner.run(interrupted).await?)
}
