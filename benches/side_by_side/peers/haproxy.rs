use super::{Running, Topology};
use crate::site::{Build, Site};

pub async fn start(_site: &Site, _topology: Topology, _build: &Build) -> Running {
    unimplemented!()
}
