//! What labels of a sample say about all pairs: precision and recall, each with an interval.
//!
//! A sample is drawn from strata, of each of which it is known how many pairs it has. Within a stratum, the share of
//! pairs that are of one person is what the labels say; what they cannot say, because there are few, is in the interval.

/// How far an interval reaches, in standard deviations: about 95 of 100 hold what they are about.
const REACH: f64 = 1.959_964;

/// Pairs that are alike, and what is known of some of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stratum {
    /// Whether the model made one person of each pair.
    pub is_joined: bool,
    /// How many pairs it has.
    pub pairs: u64,
    /// How many of these have a label.
    pub labelled: u64,
    /// How many of these are of one person.
    pub same: u64,
}

/// A share, and where it is with a certainty of about 95 %.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// What the labels say.
    pub value: f64,
    /// The least that it could be.
    pub low: f64,
    /// The most that it could be.
    pub high: f64,
}

/// How good a model is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quality {
    /// Of the pairs that were joined, the share that is of one person; `None` if none was.
    pub precision: Option<Share>,
    /// Of the pairs that are of one person and were kept, the share that was joined.
    pub recall: Option<Share>,
}

/// What the labels of all strata say.
pub fn quality(strata: &[Stratum]) -> Quality {
    let (joined, apart) = (Total::of(strata, true), Total::of(strata, false));
    let precision = (joined.pairs > 0.0).then(|| {
        let mean = joined.mean / joined.pairs;
        share(joined.seen / joined.pairs, mean, joined.variance / joined.pairs.powi(2))
    });
    let all = joined.mean + apart.mean;
    let recall = (all > 0.0).then(|| {
        // How the share moves with what is in either part of it.
        let variance = (apart.mean.powi(2) * joined.variance + joined.mean.powi(2) * apart.variance) / all.powi(4);
        let seen = joined.seen + apart.seen;
        let value = if seen > 0.0 {
            joined.seen / seen
        } else {
            joined.mean / all
        };
        share(value, joined.mean / all, variance)
    });
    Quality { precision, recall }
}

/// Pairs of one person in several strata.
#[derive(Debug, Default)]
struct Total {
    /// How many pairs there are in all.
    pairs: f64,
    /// How many of one person, as the labels have it.
    seen: f64,
    /// The same with what few labels leave open, and how far it could be off.
    mean: f64,
    variance: f64,
}

impl Total {
    fn of(strata: &[Stratum], is_joined: bool) -> Self {
        let mut total = Self::default();
        for stratum in strata.iter().filter(|stratum| stratum.is_joined == is_joined) {
            let (pairs, labelled, same) = (stratum.pairs as f64, stratum.labelled as f64, stratum.same as f64);
            // Jeffreys: half a pair of either sort is imagined, so that a stratum without a slip is not without doubt.
            let mean = (same + 0.5) / (labelled + 1.0);
            let left = (1.0 - labelled / pairs.max(1.0)).max(0.0);
            total.pairs += pairs;
            total.seen += pairs * if labelled > 0.0 { same / labelled } else { mean };
            // What has a label is known; the doubt is about the others.
            total.mean += same + (pairs - labelled).max(0.0) * mean;
            total.variance += pairs.powi(2) * left * mean * (1.0 - mean) / (labelled + 2.0);
        }
        total
    }
}

/// A share with Wilson's interval, of as many labels as would leave that variance.
fn share(value: f64, mean: f64, variance: f64) -> Share {
    if variance <= 0.0 {
        return Share {
            value,
            low: value,
            high: value,
        };
    }
    let labels = mean * (1.0 - mean) / variance;
    let square = REACH.powi(2);
    let middle = (mean + square / (2.0 * labels)) / (1.0 + square / labels);
    let half = REACH / (1.0 + square / labels) * (variance + square / (4.0 * labels.powi(2))).sqrt();
    Share {
        value,
        low: (middle - half).max(0.0).min(value),
        high: (middle + half).min(1.0).max(value),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn stratum(is_joined: bool, pairs: u64, labelled: u64, same: u64) -> Stratum {
        Stratum {
            is_joined,
            pairs,
            labelled,
            same,
        }
    }

    #[test]
    fn strata_count_as_much_as_they_have_pairs() {
        let strata = [
            stratum(true, 9_000, 20, 20),
            stratum(true, 1_000, 20, 10),
            stratum(false, 1_000, 20, 5),
        ];
        let Quality { precision, recall } = quality(&strata);
        let (precision, recall) = (precision.unwrap(), recall.unwrap());
        assert!((precision.value - 0.95).abs() < 1e-9);
        assert!((recall.value - 9_500.0 / 9_750.0).abs() < 1e-9);
        for share in [precision, recall] {
            assert!(
                share.low < share.value && share.value < share.high && share.high <= 1.0,
                "{share:?}"
            );
        }
    }

    #[test]
    fn what_is_all_labelled_is_known() {
        let strata = [stratum(true, 20, 20, 19), stratum(false, 10, 10, 1)];
        let Quality { precision, recall } = quality(&strata);
        let is = |share: Share, value: f64| {
            [share.value, share.low, share.high]
                .iter()
                .all(|of| (of - value).abs() < 1e-9)
        };
        assert!(is(precision.unwrap(), 0.95), "{precision:?}");
        assert!(is(recall.unwrap(), 0.95), "{recall:?}");
    }

    #[test]
    fn a_sample_without_a_slip_leaves_doubt_and_one_of_nothing_all() {
        let few = quality(&[stratum(true, 1_000, 10, 10)]).precision.unwrap();
        let many = quality(&[stratum(true, 1_000, 200, 200)]).precision.unwrap();
        assert!(few.value == 1.0 && many.value == 1.0);
        assert!(few.low < 0.9 && many.low > 0.97, "{few:?} {many:?}");
        let none = quality(&[stratum(true, 1_000, 0, 0)]).precision.unwrap();
        assert!(none.low < 0.1 && none.high > 0.9, "{none:?}");
        assert_eq!(
            quality(&[]),
            Quality {
                precision: None,
                recall: None
            }
        );
    }

    #[test]
    fn intervals_hold_what_they_are_about() {
        // 400 samples of pairs of which it is known how many are of one person.
        let known: [(bool, u32, f64); 4] = [
            (true, 4_000, 0.995),
            (true, 600, 0.8),
            (false, 900, 0.1),
            (false, 5_000, 0.004),
        ];
        let all = |wanted: bool| -> f64 {
            let of = known.iter().filter(|(is_joined, ..)| *is_joined == wanted);
            of.map(|(_, pairs, share)| f64::from(*pairs) * share).sum()
        };
        let precision = all(true) / 4_600.0;
        let recall = all(true) / (all(true) + all(false));
        let mut state = 7_u64;
        let mut chance = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        const SAMPLES: usize = 400;
        let mut held = [0; 2];
        for _ in 0..SAMPLES {
            let strata = known.map(|(is_joined, pairs, share)| {
                let same = (0..60).filter(|_| chance() < share).count() as u64;
                stratum(is_joined, u64::from(pairs), 60, same)
            });
            let found = quality(&strata);
            let shares = [(found.precision, precision), (found.recall, recall)];
            for (held, (share, value)) in held.iter_mut().zip(shares) {
                let share = share.unwrap();
                *held += usize::from((share.low..=share.high).contains(&value));
            }
        }
        // It is an approximation, and these are hard: of 60 pairs of the last stratum three samples in four find none of one
        // person.
        assert!(
            held.iter().all(|held| *held >= SAMPLES * 91 / 100),
            "{held:?} of {SAMPLES}"
        );
    }
}
