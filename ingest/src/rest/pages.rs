//! The pages of a stream, one request after the other.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use cordada_core::Result;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use serde_json::{Map, Value as Json};
use tokio_util::sync::CancellationToken;

use super::{job, parents};
use super::answer::Answer;
use super::engine::Engine;
use super::paginate::{Pager, Turn};
use super::plan::Plan;
use super::template::Scope;

/// What all requests of one extraction have in common.
pub(crate) struct Run {
    pub(crate) engine: Arc<Engine>,
    pub(crate) load_at: DateTime<Utc>,
    pub(crate) cancel: CancellationToken,
}

/// A page, and whose it is.
pub(crate) struct Page {
    pub(crate) answer: Answer,
    pub(crate) origin: Arc<Origin>,
}

/// The parent that records were asked for by.
#[derive(Debug, Default)]
pub(crate) struct Origin {
    /// Tells parents apart.
    pub(crate) parent: String,
    /// What is added to each record.
    pub(crate) included: Map<String, Json>,
}

/// Pages as they come.
pub(crate) type Pages = BoxStream<'static, Result<Page>>;

/// The pages of a stream in one range of positions.
pub(crate) fn all(run: &Arc<Run>, plan: &Arc<Plan>, range: parents::Range) -> Pages {
    let scope = plan.scope(run.load_at);
    match &plan.parent {
        Some(_) => parents::pages(run.clone(), plan.clone(), scope, range),
        None => of_one(run, plan, range.scope(plan, scope, None), Arc::default()),
    }
}

/// The pages that one parent has, or a stream without any.
pub(crate) fn of_one(run: &Arc<Run>, plan: &Arc<Plan>, scope: Scope, origin: Arc<Origin>) -> Pages {
    match plan.job {
        Some(_) => job::pages(run.clone(), plan.clone(), scope, origin),
        None => paginated(run.clone(), plan.clone(), scope, origin),
    }
}

fn paginated(run: Arc<Run>, plan: Arc<Plan>, scope: Scope, origin: Arc<Origin>) -> Pages {
    stream::try_unfold(Some(Turn::default()), move |turn| {
        let (run, plan, scope, origin) = (run.clone(), plan.clone(), scope.clone(), origin.clone());
        async move {
            let Some(turn) = turn else {
                return Ok(None);
            };
            let probing = turn.probing;
            let Some((answer, is_page, next)) = page(&run, &plan, &scope, turn).await? else {
                return Ok(None);
            };
            if probing && !is_page {
                return Ok(None);
            }
            Ok(Some((Page { answer, origin }, next)))
        }
    })
    .boxed()
}

/// Asks for a page; `None` if there is none.
async fn page(run: &Run, plan: &Plan, scope: &Scope, turn: Turn) -> Result<Option<(Answer, bool, Option<Turn>)>> {
    let pager = Pager::new(&plan.paginate, run.engine.manifest.limits.max_pages, turn.position);
    let scope = scope.with("page", pager.scope());
    let outgoing = run.engine.outgoing(&plan.request, &scope, &pager.addition()?)?;
    let Some(answer) = run.engine.ask(&outgoing, &plan.reading, &run.cancel).await? else {
        return Ok(None);
    };
    let (is_page, next) = pager.advance(&answer, &outgoing.url, turn.probing)?;
    Ok(Some((answer, is_page, next)))
}
