//! The built plugin against a runtime that speaks the real wire format over a real socket.

mod container_life;
mod damage;
mod endpoints;
mod failure;
mod guard;
mod harness;
mod others;
mod profiles;
mod startup;
