//! The built plugin against a runtime that speaks the real wire format over a real socket.

mod container_life;
mod failure;
mod harness;
mod profiles;
mod startup;
