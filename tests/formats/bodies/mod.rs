//! The bodies of each format for the script.

mod emqx4;
mod emqx5;
mod nanomq;

pub(crate) use emqx4::{EMQX4, EMQX4_PAGE};
pub(crate) use emqx5::EMQX5;
pub(crate) use nanomq::NANOMQ;
