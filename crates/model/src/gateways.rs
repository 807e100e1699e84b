//! Gateways: which ones a router serves.

use std::sync::Arc;

use api::networking::Gateway;
use graph::{Index, Reader};
use names::{Labels, Selector};

use crate::inputs::Age;
use crate::{Id, Objects, Row};

/// All Gateways with their selectors.
pub struct GatewaySelectors;

impl Index for GatewaySelectors {
    type Of = Objects<Gateway>;
    type Bucket = ();
    type Item = (Selector, Age);
    const NAME: &'static str = "gateways";

    fn entries(_: &Id, row: &Arc<Row<Gateway>>) -> Vec<((), Self::Item)> {
        vec![((), (Selector(row.spec.selector.clone()), row.age()))]
    }
}

/// The Gateways that select a router with these labels, oldest first. A Gateway without selector selects every router.
pub(crate) fn selecting(labels: &Labels, read: &mut Reader<'_>) -> Vec<Id> {
    let all = read.bucket::<GatewaySelectors>(&());
    let mut fitting: Vec<_> = all.iter().filter(|(_, (selector, _))| selector.matches(labels)).collect();
    fitting.sort_by(|(_, (_, a)), (_, (_, b))| a.cmp(b));
    fitting.into_iter().map(|(id, _)| id.clone()).collect()
}
