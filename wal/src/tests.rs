use std::collections::BTreeSet;
use std::ops::Range;

use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits {
    what: "a log",
    segment: 1 << 20,
    backlog: 1 << 30,
};

fn entry(number: u64, size: usize) -> Entry {
    let json = format!("{{\"n\":{number},\"x\":\"{}\"}}", "y".repeat(size)).into_bytes();
    match number % 5 {
        0 => Entry::Rejected(json),
        _ => Entry::Record(json),
    }
}

fn entries(log: &Log) -> Vec<Entry> {
    let mut found = Vec::new();
    for segment in log.sealed() {
        let mut scan = segment.scan().unwrap();
        while let Some(next) = scan.advance().unwrap() {
            if let Found::Record(_, entry) = next {
                found.push(entry);
            }
        }
    }
    found
}

fn open(dir: &Path) -> Arc<Log> {
    Logs::default().open(dir, LIMITS).unwrap().unwrap()
}

fn segment_files(dir: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|end| end == "log"))
        .collect();
    files.sort();
    files
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_each_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    for run in 0..3 {
        let log = open(dir.path());
        assert_eq!(entries(&log), expected);
        for number in run * 10..run * 10 + 10 {
            expected.push(entry(number, 20));
            log.append(vec![entry(number, 20)], None).await.unwrap();
        }
        assert!(log.has_pending());
    }
    let log = open(dir.path());
    assert_eq!(entries(&log), expected);
    for segment in log.sealed() {
        log.remove(&segment, false).unwrap();
    }
    assert!(!log.has_pending());
    assert!(segment_files(dir.path()).is_empty());
}

#[tokio::test]
async fn many_writers_share_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits {
        segment: 2000,
        ..LIMITS
    };
    let log = Logs::default().open(dir.path(), limits).unwrap().unwrap();
    let appends = (0..500).map(|number| {
        let log = log.clone();
        tokio::spawn(async move { log.append(vec![entry(number, 10), entry(number, 10)], None).await })
    });
    for append in appends.collect::<Vec<_>>() {
        append.await.unwrap().unwrap();
    }
    log.seal().await.unwrap();
    let found = entries(&log);
    assert_eq!(found.len(), 1000);
    assert!(
        found.chunks(2).all(|pair| pair[0] == pair[1]),
        "what is sent together stays together"
    );
}

#[tokio::test]
async fn one_log_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let logs = Logs::default();
    let log = logs.open(dir.path(), LIMITS).unwrap().unwrap();
    assert!(Arc::ptr_eq(&log, &logs.open(dir.path(), LIMITS).unwrap().unwrap()));
    assert!(Logs::default().open(dir.path(), LIMITS).unwrap().is_none());
    let reading = log.try_read().unwrap();
    assert!(log.try_read().is_none());
    drop(reading);
    assert!(log.try_read().is_some());
    drop(log);
    // Whoever locks the file, as another process would, has the log.
    let lock = File::create(dir.path().join(LOCK)).unwrap();
    lock.lock().unwrap();
    assert!(logs.open(dir.path(), LIMITS).unwrap().is_none());
}

#[tokio::test]
async fn a_full_log_refuses_and_takes_more_once_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits {
        backlog: 2000,
        ..LIMITS
    };
    let log = Logs::default().open(dir.path(), limits).unwrap().unwrap();
    log.append(vec![entry(1, 1500)], None).await.unwrap();
    let error = log.append(vec![entry(2, 1500)], None).await.unwrap_err();
    assert_eq!(error.kind(), cordada_core::ErrorKind::Unavailable);
    log.seal().await.unwrap();
    let sealed = log.sealed();
    assert_eq!(entries(&log), [entry(1, 1500)]);
    log.remove(&sealed[0], false).unwrap();
    log.append(vec![entry(3, 1500)], None).await.unwrap();
}

#[tokio::test]
async fn a_disk_that_fails_loses_nothing_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("log");
    let log = open(&inner);
    log.append(vec![entry(1, 10)], None).await.unwrap();
    log.seal().await.unwrap();
    // Without its folder no segment can begin.
    let away = dir.path().join("away");
    std::fs::rename(&inner, &away).unwrap();
    let error = log.append(vec![entry(2, 10)], None).await.unwrap_err();
    assert_eq!(error.kind(), cordada_core::ErrorKind::Unavailable, "{error}");
    std::fs::rename(&away, &inner).unwrap();
    log.append(vec![entry(3, 10)], None).await.unwrap();
    log.seal().await.unwrap();
    assert_eq!(entries(&log), [entry(1, 10), entry(3, 10)]);
}

/// A log of records of these sizes, and where each of them is: its file, and its bytes in that.
fn written(dir: &Path, segment: u64, sizes: &[usize]) -> Vec<(PathBuf, Range<usize>)> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let limits = Limits { segment, ..LIMITS };
    let log = Logs::default().open(dir, limits).unwrap().unwrap();
    let mut places = Vec::new();
    runtime.block_on(async {
        for (number, size) in (0..).zip(sizes) {
            let entry = entry(number, *size);
            let bytes = entry.size();
            log.append(vec![entry], None).await.unwrap();
            let file = segment_files(dir).pop().unwrap();
            let end = std::fs::metadata(&file).unwrap().len() as usize;
            places.push((file, end - bytes..end));
        }
    });
    places
}

/// What may happen to a file.
#[derive(Debug, Clone)]
enum Rot {
    Flip(prop::sample::Index, u8),
    Zeros(prop::sample::Index, usize),
    Garbage(prop::sample::Index, Vec<u8>),
    Cut(prop::sample::Index),
}

impl Rot {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let len = bytes.len();
        match self {
            Rot::Flip(at, bit) => bytes[at.index(len)] ^= 1 << bit,
            Rot::Zeros(at, length) => {
                let at = at.index(len);
                bytes[at..(at + length).min(len)].fill(0);
            }
            Rot::Garbage(at, garbage) => {
                let at = at.index(len);
                let length = garbage.len().min(len - at);
                bytes[at..at + length].copy_from_slice(&garbage[..length]);
            }
            Rot::Cut(at) => bytes.truncate(at.index(len + 1)),
        }
    }
}

fn rot() -> impl Strategy<Value = Rot> {
    prop_oneof![
        4 => (any::<prop::sample::Index>(), 0u8..8).prop_map(|(at, bit)| Rot::Flip(at, bit)),
        2 => (any::<prop::sample::Index>(), 1usize..300).prop_map(|(at, length)| Rot::Zeros(at, length)),
        1 => (any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 1..100))
            .prop_map(|(at, garbage)| Rot::Garbage(at, garbage)),
        1 => any::<prop::sample::Index>().prop_map(Rot::Cut),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn what_is_intact_is_found_once_and_what_is_not_is_told(
        sizes in prop::collection::vec(0usize..120, 1..25),
        segment in 1u64..1500,
        rots in prop::collection::vec((any::<prop::sample::Index>(), rot()), 0..5),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let places = written(dir.path(), segment, &sizes);
        let files = segment_files(dir.path());
        let before: BTreeMap<_, _> = files.iter().map(|file| (file, std::fs::read(file).unwrap())).collect();
        let mut after = before.clone();
        for (file, rot) in &rots {
            rot.apply(after.get_mut(file.get(&files)).unwrap());
        }
        for (file, bytes) in &after {
            std::fs::write(file, bytes).unwrap();
        }
        let is_intact = |(file, range): &(PathBuf, Range<usize>)| {
            after[file].get(range.clone()) == before[file].get(range.clone())
        };

        let log = open(dir.path());
        let (mut found, mut lost, mut bad) = (Vec::new(), BTreeSet::new(), BTreeMap::<_, Vec<_>>::new());
        for segment in log.sealed() {
            let mut scan = segment.scan().unwrap();
            while let Some(next) = scan.advance().unwrap() {
                match next {
                    Found::Record(number, entry) => found.push((number, entry)),
                    Found::Damage(damage) => {
                        lost.extend(damage.numbers);
                        let bytes = damage.bytes.start as usize..damage.bytes.end as usize;
                        bad.entry(segment.path.clone()).or_default().push(bytes);
                    }
                }
            }
        }
        let intact: Vec<_> = (0..).zip(&places).filter(|(_, place)| is_intact(place)).collect();
        let intact: Vec<_> = intact.iter().map(|(number, _)| (*number, entry(*number, sizes[*number as usize]))).collect();
        prop_assert_eq!(&found, &intact);
        for (number, place) in (0..).zip(&places).filter(|(_, place)| !is_intact(place)) {
            let (file, range) = place;
            let is_newest = file == files.last().unwrap();
            let is_cut = range.end > after[file].len();
            let is_told = bad.get(file).into_iter().flatten().any(|bad| bad.start < range.end && bad.end > range.start);
            prop_assert!(lost.contains(&number) || is_newest && (is_cut || is_told), "record {} is lost silently", number);
        }
        for (number, _) in &found {
            prop_assert!(!lost.contains(number), "record {} is told to be lost", number);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn a_log_that_was_torn_ends_there_without_a_word(sizes in prop::collection::vec(0usize..60, 1..6)) {
        let dir = tempfile::tempdir().unwrap();
        let places = written(dir.path(), LIMITS.segment, &sizes);
        let path = &places[0].0;
        let bytes = std::fs::read(path).unwrap();
        let all: Vec<_> = (0..).zip(&sizes).map(|(number, size)| entry(number, *size)).collect();
        for cut in segment::HEADER..=bytes.len() {
            std::fs::write(path, &bytes[..cut]).unwrap();
            let whole = places.iter().filter(|(_, range)| range.end <= cut).count();
            let log = open(dir.path());
            prop_assert_eq!(&entries(&log), &all[..whole], "cut at {}", cut);
            prop_assert!(log.sealed().iter().all(|segment| segment.is_whole().unwrap()));
        }
    }
}

#[tokio::test]
async fn a_damaged_segment_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { segment: 1, ..LIMITS };
    let log = Logs::default().open(dir.path(), limits).unwrap().unwrap();
    for number in 1..4 {
        log.append(vec![entry(number, 10)], None).await.unwrap();
    }
    drop(log);
    let files = segment_files(dir.path());
    let mut bytes = std::fs::read(&files[1]).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&files[1], &bytes).unwrap();
    let log = open(dir.path());
    let sealed = log.sealed();
    assert_eq!(
        (sealed[1].first, sealed[1].next),
        (1, 2),
        "the next segment tells how many there were"
    );
    assert!(!sealed[1].is_whole().unwrap());
    log.remove(&sealed[1], true).unwrap();
    assert_eq!(std::fs::read(sealed[1].aside()).unwrap(), bytes);
    assert_eq!(entries(&log), [entry(1, 10), entry(3, 10)]);
}
