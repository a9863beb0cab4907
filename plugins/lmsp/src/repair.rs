//! Writes the end that a recording does not have: what can be read of it is written anew, beside it, and takes its place.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use tapedeck_sdk::prelude::*;

use crate::event::checkpoint_of;
use crate::format::events;
use crate::options::Form;
use crate::rows::{InHand, Next};
use crate::writer::{MAGIC, Style, Writer, Written};

/// Makes a file whole.
pub(crate) fn repair(path: &Path) -> Result<Repair, Error> {
    let mut all = match events(path) {
        Ok(all) => all,
        Err(error) if error.kind == ErrorKind::Data => return Ok(Repair::Unreadable(error.message)),
        Err(error) => return Err(error),
    };
    let failed = |error: std::io::Error| Error::io("read the recording", path, &error);
    let mut hand = InHand::default();
    let (mut count, mut bad) = (0_u64, None);
    loop {
        match all.next(&mut hand).map_err(failed)? {
            Next::Event => count += 1,
            Next::Bad(why) => bad = Some(why),
            Next::End => break,
        }
    }
    let Some(why) = bad else { return Ok(Repair::Intact) };
    if !why.contains("the file ends") {
        return Ok(Repair::Unreadable(format!("an event {why}")));
    }
    let beside = path.with_added_extension("tmp");
    drop(std::fs::remove_file(&beside));
    rewrite(path, &beside).inspect_err(|_| drop(std::fs::remove_file(&beside)))?;
    std::fs::rename(&beside, path).map_err(|error| Error::io("mend the recording", path, &error))?;
    Ok(Repair::Mended(format!("wrote the missing end behind {count} events")))
}

fn rewrite(path: &Path, beside: &Path) -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::io("read the recording", path, &error);
    let mut head = Vec::new();
    File::open(path).and_then(|file| file.take(4).read_to_end(&mut head)).map_err(failed)?;
    let form = match &head[..] {
        head if head.starts_with(MAGIC) => Form::Binary,
        [0x1f, ..] => Form::Gzip,
        _ => Form::Json,
    };
    let style = Style { form, level: 6, module: "lmsp.tas".to_owned() };
    let mut all = events(path)?;
    let mut writer = Writer::create(beside, &style, all.facts())?;
    let mut hand = InHand::default();
    let mut checkpoints: Vec<(String, u64)> = Vec::new();
    loop {
        match all.next(&mut hand).map_err(failed)? {
            Next::Event => {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let (data, state) = (text(&hand.data), text(&hand.state));
                let event = Written {
                    timestamp: hand.timestamp,
                    kind: &hand.kind,
                    player_id: &hand.player_id,
                    data: &data,
                    state: &state,
                };
                // As the sink has it: a checkpoint stands for the event before it.
                let before = writer.events().checked_sub(1);
                if let (Some(name), Some(before)) = (checkpoint_of(&hand.kind, &data), before)
                    && checkpoints.iter().all(|(known, _)| *known != name)
                {
                    checkpoints.push((name, before));
                }
                writer.event(&event)?.map_err(Error::data)?;
            }
            Next::Bad(_) => {}
            Next::End => break,
        }
    }
    let mut facts = all.facts().clone();
    facts.checkpoints.get_or_insert(checkpoints);
    writer.finish(&facts)
}
