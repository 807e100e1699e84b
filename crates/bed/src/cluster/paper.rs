//! Pods of which nothing runs: they get an address and are said to be ready, and go when they are asked to. Thousands of them cost little.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use tokio::sync::watch;

use super::images::Image;
use super::nodes::World;
use super::pod;
use super::status::{Board, Ended, Phase, is_sidecar};

/// Whether nothing of a pod runs.
pub(super) fn is_paper(world: &World, pod: &Pod) -> bool {
    let spec = pod.spec.iter();
    let mut all = spec.flat_map(|spec| spec.init_containers.iter().flatten().chain(&spec.containers));
    all.all(|container| matches!(world.images.get(container.image.as_deref().unwrap_or_default()), Some(Image::Paper)))
}

/// Says that it runs, until it is deleted.
pub(super) async fn play(world: &World, pod: &Arc<Pod>, mut updates: watch::Receiver<Option<Arc<Pod>>>) {
    let mut board = Board::new(pod);
    let known = pod.status.as_ref().and_then(|status| status.pod_ip.as_deref()?.parse().ok());
    let address = match known {
        Some(address) => world.addresses.keep(address).then_some(address),
        None => world.addresses.take().ok(),
    };
    board.address = address.map(|address| address.to_string());
    board.initialized = true;
    let now = Timestamp::now();
    let ended = Ended { code: 0, reason: "Completed", message: String::new(), started: now, finished: now };
    let spec = pod.spec.iter();
    let inits: Vec<_> = spec.flat_map(|spec| spec.init_containers.iter().flatten()).collect();
    for (name, seen) in &mut board.containers {
        let over = inits.iter().any(|init| init.name == *name && !is_sidecar(init));
        seen.phase = if over { Phase::Terminated(ended.clone()) } else { Phase::Running { since: now } };
        (seen.ready, seen.started) = (true, !over);
    }
    let board = watch::Sender::new(board);
    let told = updates.clone();
    tokio::select! {
        never = pod::report(world, pod, (&board, told)) => match never {},
        _ = updates.wait_for(|pod| pod.as_ref().is_none_or(|pod| pod.metadata.deletion_timestamp.is_some())) => {}
    }
    let last = updates.borrow().clone();
    if let Some(last) = last
        && let Err(error) = pod::delete(world, &last).await
    {
        pod::log_only(&last, &error);
    }
    if let Some(address) = address {
        world.addresses.free(address);
    }
}
