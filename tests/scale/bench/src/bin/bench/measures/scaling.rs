//! Ten times the services, the proxies or the edits alone: what that costs the server's processor, against the tenth.

use std::time::Duration;

use bench::edits::Kind;
use bench::folder::Folder;
use bench::load::{Load, PATIENCE};
use bench::mesh::Mesh;
use bench::shape::{Shape, Size};

use super::{Pass, Place, Run};
use crate::usage;
use crate::value::Value;

/// Ratios of what it costs.
pub(crate) fn all(pass: &Pass) -> anyhow::Result<Vec<Value>> {
    let scoped = Size::Ms.shape();
    let small = Shape { proxies: 100, ..scoped };
    // More services of each namespace, not more namespaces: what a proxy sees grows too.
    let wide = Shape { namespaces: small.namespaces, ..small.times(10) };
    let ratio = |name: &str, one: Duration, ten: Duration| {
        Value::new(format!("ten times the {name}: cost, times"), ten.as_secs_f64() / one.as_secs_f64())
    };
    let (one, few) = cost(pass, small, 0)?;
    let (services, _) = cost(pass, wide, 0)?;
    let (_, many) = cost(pass, scoped, 0)?;
    let (_, some) = cost(pass, small, 100)?;
    let (_, more) = cost(pass, small, 1000)?;
    Ok(vec![
        ratio("services", one, services),
        ratio("proxies", few, many),
        ratio("edits", some.saturating_sub(few), more.saturating_sub(few)),
    ])
}

/// What the server used until it was ready, and from then on for proxies and edits.
fn cost(pass: &Pass, shape: Shape, edits: u32) -> anyhow::Result<(Duration, Duration)> {
    let mesh = Mesh::new(shape, pass.settings.seed);
    let folder = Folder::new(&pass.ground.folder("mesh")?)?;
    folder.fill(&mesh)?;
    let pass = Pass { mesh: &mesh, cluster: None, ..*pass };
    let place = Place::Folder(folder);
    let server = pass.start(&place, None)?;
    let load = Load::start(&server.target, shape.namespaces, &pass.ground.folder("load")?)?;
    let ready = usage::cpu(server.id())?;
    load.connect(shape.proxies, 0, "reader")?;
    load.complete(shape.proxies)?;
    let mut run = Run { pass: &pass, place, server, load, rounds: 0 };
    for _ in 0..edits {
        let Some(edit) = run.next(Kind::Route) else { break };
        run.load.mark()?;
        run.apply(&edit.change)?;
        run.load.touched(edit.touches.proxies(&shape), PATIENCE)?;
    }
    Ok((ready, usage::cpu(run.server.id())? - ready))
}
