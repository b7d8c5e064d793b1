//! Files with damaged pages.

use super::tables::{Numbers, every_type};
use super::*;

/// A file of the table with the batch's rows.
async fn whole(folder: &Folder, batch: &RecordBatch) -> WrittenFile {
    let mut files = read(folder, written(folder, batch).await).await;
    assert_eq!(files.len(), 1);
    files.remove(0)
}

/// The file with some bytes of its pages changed.
async fn damaged(folder: &Folder, whole: &WrittenFile, numbers: &mut Numbers) -> DataFile {
    let metadata = whole.reader().metadata().clone();
    let ends = metadata.row_group(0).columns().iter().map(|column| {
        let (start, length) = column.byte_range();
        start + length
    });
    let end = ends.max().unwrap();
    let mut bytes = whole.bytes.to_vec();
    for _ in 0..=numbers.below(3) {
        let place = 4 + numbers.below(end - 4) as usize;
        bytes[place] ^= numbers.one_of(&[1, 2, 0x80, 0xFF]);
    }
    put_file(folder, bytes).await
}

/// The rows of the file that `keep` names, decoded and encoded; `None` if it cannot be read, be it for a panic.
async fn decoded(folder: Folder, file: Arc<DataFile>, keep: BooleanBuffer) -> Option<RecordBatch> {
    let done = tokio::spawn(async move {
        let files = folder
            .rewrite(&file, |rows, batch| {
                let keep = BooleanArray::new(keep.slice(rows.start, rows.len()), None);
                filter_record_batch(&batch, &keep).doing(|| "filtering")
            })
            .await
            .ok()?;
        Some(read(&folder, files).await.first()?.rows(&folder.schema, None))
    });
    done.await.ok().flatten()
}

/// Those rows, taken out where they are encoded.
async fn thinned(folder: Folder, file: Arc<DataFile>, keep: BooleanBuffer) -> Option<RecordBatch> {
    let files = folder.keep_rows(&file, &keep).await.ok()?;
    let done = tokio::spawn(async move { Some(read(&folder, files).await.first()?.rows(&folder.schema, None)) });
    done.await.ok().flatten()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn damaged_pages_give_the_same_rows_as_decoding_or_an_error(
        rows in 1_usize..300,
        seed: u64,
        distinct in prop_oneof![1_u64..9, 1_u64..100_000],
        nulls in prop_oneof![Just(0_u64), 2_u64..9],
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let mut numbers = Numbers(seed);
        // One column, so that what a byte is to its page is met often.
        let all = every_type(rows, seed, distinct, nulls);
        let batch = all.project(&[numbers.below(all.num_columns() as u64) as usize]).unwrap();
        let keep: BooleanBuffer = (0..rows).map(|_| numbers.below(9) > 0).collect();
        prop_assume!(keep.has_true());
        runtime.block_on(async {
            let (_folder, lake) = temporary().await;
            let folder = Folder::new(&lake, "raw_a/t", &batch.schema());
            let whole = whole(&folder, &batch).await;
            let file = Arc::new(put_file(&folder, whole.bytes.to_vec()).await);
            let found = thinned(folder.clone(), file, keep.clone()).await.unwrap();
            let kept = filter_record_batch(&batch, &BooleanArray::new(keep.clone(), None)).unwrap();
            same_rows(&found, &kept);
            let file = Arc::new(damaged(&folder, &whole, &mut numbers).await);
            let expected = decoded(folder.clone(), file.clone(), keep.clone()).await;
            let found = thinned(folder, file, keep).await;
            if let (Some(found), Some(expected)) = (found, expected) {
                same_rows(&found, &expected);
            }
        });
    }
}
