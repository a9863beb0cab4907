//! The Arrow view of a batch: no copy, and alive as long as the plugin likes.

use serde_json::json;
use tapedeck_sdk::{BatchPool, ErrorKind};

use crate::util::{Collected, compiled, frames, host, load, open_transform, schema};

#[test]
fn a_plugin_reads_a_batch_through_arrow_and_keeps_it() {
    let (factory, host) = (load(&compiled("arrow", &[])), host());
    let mut transform = open_transform(&factory, &json!({}), &host).unwrap();
    assert!(transform.streams(&[schema()]).unwrap().is_empty());
    let mut pool = BatchPool::new(schema());
    for first in [0.0, 100.0] {
        let batch = frames(&mut pool, first);
        transform.process(0, batch, &mut Collected::default()).unwrap();
    }
    // The memory of a batch that nobody holds is used for the next one: these would be written over the one that is kept.
    let later: Vec<_> = (0..4).map(|_| frames(&mut pool, -9999.0)).collect();
    let error = transform.finish(&mut Collected::default()).unwrap_err();
    assert_eq!((error.kind, error.message.contains("input 9")), (ErrorKind::Plugin, true), "{error}");
    assert_eq!(host.warnings(), ["306, the last batch 303"]);
    drop(later);
}
