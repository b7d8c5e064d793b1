//! A segment counted, condition by condition, and listed.

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use chrono::Utc;
use cordada_core::suggest::did_you_mean;
use cordada_core::{Context, Error, Result};
use cordada_lake::Lake;
use cordada_lake::query::sql;
use datafusion::dataframe::DataFrame;
use datafusion::execution::SendableRecordBatchStream;

use crate::compiled::{CompiledNode, CompiledProject};
use crate::jinja::quoted;
use crate::segment_sql::{Moment, SegmentWork};

/// The members of a segment as they are read.
pub type Members = SendableRecordBatchStream;

/// How many persons a segment chooses from, and how many meet its conditions so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentCounts {
    /// Whom it chooses from.
    pub population: u64,
    /// The conditions in the order in which they are looked at, each with those who meet it and all before.
    pub steps: Vec<(String, u64)>,
}

impl SegmentCounts {
    /// Who is in the segment.
    pub fn members(&self) -> u64 {
        self.steps.last().map_or(self.population, |(_, persons)| *persons)
    }
}

impl CompiledProject {
    /// Counts a segment by its definition as it is now, over the release that the project was compiled against. It need
    /// not have been built.
    ///
    /// # Errors
    /// Config: there is no such segment. What the lake says: what it chooses from was not built yet.
    pub async fn count_segment(&self, lake: &Lake, name: &str) -> Result<SegmentCounts> {
        let (node, work) = self.segment(name)?;
        let frame = self.planned(lake, node, &work.counts(&now())).await?;
        let doing = || format!("counting {}", node.name);
        let steps = work.steps();
        let mut lacking = vec![0; steps.len()];
        let mut members = 0;
        for batch in frame.collect().await.doing(doing)? {
            let lacks = cast(batch.column(0), &DataType::Utf8).doing(doing)?;
            let persons = batch.column(1).as_primitive::<Int64Type>().values();
            for (lacks, persons) in lacks.as_string::<i32>().iter().zip(persons) {
                let persons = u64::try_from(*persons).unwrap_or_default();
                match lacks.map(|lacks| steps.iter().position(|step| step == lacks)) {
                    Some(Some(step)) => lacking[step] += persons,
                    _ => members += persons,
                }
            }
        }
        let population = members + lacking.iter().sum::<u64>();
        let mut left = population;
        let steps = steps.into_iter().zip(lacking).map(|(step, lacking)| {
            left -= lacking;
            (step, left)
        });
        Ok(SegmentCounts {
            steps: steps.collect(),
            population,
        })
    }

    /// The members of a segment as the release has them; who does not consent any more, as of now, is left out.
    ///
    /// # Errors
    /// As [`CompiledProject::count_segment`]; the segment was not built yet.
    pub async fn segment_members(&self, lake: &Lake, name: &str) -> Result<Members> {
        let (node, work) = self.segment(name)?;
        if self.base.relation(&node.table).is_none() {
            let error = Error::failed(format!("listing {name}"), "the segment was not built yet");
            return Err(error.hint(format!("run `cordada build --select +{name}`")));
        }
        let query = work.members_with_consent(&quoted(&node.table), &now());
        let frame = self.planned(lake, node, &query).await?;
        frame.execute_stream().await.doing(|| format!("listing {name}"))
    }

    fn segment(&self, name: &str) -> Result<(&CompiledNode, &SegmentWork)> {
        let segments = || {
            self.nodes()
                .filter_map(|node| Some((node, node.work.segment.as_deref()?)))
        };
        segments().find(|(node, _)| node.name == name).ok_or_else(|| {
            let names = segments().map(|(node, _)| node.name.as_str());
            let error = Error::config(
                format!("looking for the segment `{name}`"),
                "there is none of that name",
            );
            error.hint(did_you_mean(name, "the segments are", names))
        })
    }

    async fn planned(&self, lake: &Lake, node: &CompiledNode, query: &str) -> Result<DataFrame> {
        let session = lake.session(&self.base);
        let missing = node.depends_on.iter().find(|parent| {
            let parent = self.nodes.iter().find(|other| other.name == **parent);
            parent.is_some_and(|parent| !parent.is_ephemeral() && self.base.relation(&parent.table).is_none())
        });
        if let Some(missing) = missing {
            let error = Error::failed(format!("reading {}", node.name), format!("{missing} was not built yet"));
            return Err(error.hint(format!("run `cordada build --select +{missing}`")));
        }
        let plan = sql::plan(lake, &session, query).await?;
        Ok(DataFrame::new(session.state(), plan))
    }
}

fn now() -> Moment {
    Moment::new(Utc::now().timestamp_micros())
}
