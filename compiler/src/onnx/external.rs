//! External data: tensors whose bytes are in another file beside the model.
//!
//! The files themselves are read by the driver; here a location is only looked up. A location names a
//! file in the model's directory or below, and nothing else.

use super::proto::StringStringEntryProto;
use crate::error::Fault;
use bytes::Bytes;
use std::collections::BTreeMap;

/// Contents of the files, by location.
pub type Files<'a> = &'a BTreeMap<String, Bytes>;

/// The entries `location`, `offset` and `length` of one tensor; others are ignored.
struct Place<'a> {
    location: &'a str,
    offset: usize,
    length: Option<usize>,
}

/// The bytes of a tensor that takes `length` of them: a slice of a file in `files`.
///
/// # Errors
///
/// A location that leaves the model's directory or was not given, a range outside the file.
pub fn read(entries: &[StringStringEntryProto], length: usize, files: Files<'_>) -> Result<Bytes, Fault> {
    let place = place(entries)?;
    let location = place.location;
    let file = files.get(location).ok_or_else(|| {
        Fault::model(format!("its data are in the file {location:?}, which is not there"))
            .help("put that file beside the model, under this name")
    })?;
    let length = place.length.unwrap_or(length);
    let end = place.offset.checked_add(length).filter(|&end| end <= file.len());
    match end {
        Some(end) => Ok(file.slice(place.offset..end)),
        None => Err(Fault::model(format!(
            "its data are bytes {} to {} of {location:?}, which has {}",
            place.offset,
            place.offset.saturating_add(length),
            file.len()
        ))
        .help("the file was cut off or belongs to another model")),
    }
}

/// The file that holds the data.
///
/// # Errors
///
/// No location, or one that leaves the model's directory.
pub fn location(entries: &[StringStringEntryProto]) -> Result<&str, Fault> {
    let location = text(entries, "location")
        .filter(|location| !location.is_empty())
        .ok_or_else(|| Fault::model("its data are in another file, which is not named"))?;
    if is_inside(location) {
        Ok(location)
    } else {
        Err(Fault::model(format!("its data are in {location:?}, outside the model's directory")))
    }
}

fn place(entries: &[StringStringEntryProto]) -> Result<Place<'_>, Fault> {
    let offset = number(entries, "offset")?.unwrap_or(0);
    Ok(Place { location: location(entries)?, offset, length: number(entries, "length")? })
}

fn text<'a>(entries: &'a [StringStringEntryProto], key: &str) -> Option<&'a str> {
    entries.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str())
}

fn number(entries: &[StringStringEntryProto], key: &str) -> Result<Option<usize>, Fault> {
    let parse = |text: &str| {
        text.trim().parse().map_err(|_| Fault::model(format!("{key} {text:?} of its data is no number")))
    };
    text(entries, key).map(parse).transpose()
}

/// Neither absolute nor through a parent, as seen by any operating system.
fn is_inside(location: &str) -> bool {
    let mut parts = location.split(['/', '\\']);
    let absolute = location.starts_with(['/', '\\']) || location.get(1..2) == Some(":");
    !absolute && !location.contains('\0') && parts.all(|part| part != "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(list: &[(&str, &str)]) -> Vec<StringStringEntryProto> {
        let entry =
            |&(key, value): &(&str, &str)| StringStringEntryProto { key: key.into(), value: value.into() };
        list.iter().map(entry).collect()
    }

    #[test]
    fn a_location_stays_in_the_models_directory() {
        for inside in ["w.bin", "data/w.bin", "./w.bin", "a..b"] {
            assert!(location(&entries(&[("location", inside)])).is_ok(), "{inside}");
        }
        for outside in ["/etc/passwd", "../w.bin", "a/../../w", "C:\\w", "\\\\host\\w", "a\\..\\..\\w", ""] {
            assert!(location(&entries(&[("location", outside)])).is_err(), "{outside}");
        }
    }

    #[test]
    fn a_range_must_lie_in_the_file() {
        let files = BTreeMap::from([("w".to_owned(), Bytes::from_static(&[0, 1, 2, 3]))]);
        let read = |offset: &str, length| {
            read(&entries(&[("location", "w"), ("offset", offset)]), length, &files).ok()
        };
        assert_eq!(read("1", 2).as_deref(), Some(&[1_u8, 2][..]));
        assert_eq!(read("4", 0).as_deref(), Some(&[][..]));
        assert_eq!(read("3", 2), None);
        assert_eq!(read("18446744073709551615", 2), None);
        assert_eq!(read("-1", 2), None);
    }
}
