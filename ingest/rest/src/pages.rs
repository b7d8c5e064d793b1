//! The pages of a stream, one request after the other.

use std::sync::Arc;

use cordada_core::Result;
use cordada_http::answer::Answer;
use cordada_http::template::Scope;
use futures::StreamExt;
use futures::stream::{self};

use super::page::{Origin, Page, Pages, Run};
use super::paginate::{Pager, Turn};
use super::plan::Plan;
use super::{job, parents};

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
    let pager = Pager::new(&plan.paginate, run.manifest.limits.max_pages, turn.position);
    let scope = scope.with("page", pager.scope());
    let mut outgoing = run.engine.outgoing(&plan.request, &scope, &pager.addition()?)?;
    outgoing.probing = turn.probing;
    let Some(answer) = run.engine.ask(&outgoing, &plan.answers, &run.cancel).await? else {
        return Ok(None);
    };
    let (is_page, next) = pager.advance(&answer, &outgoing, turn.probing)?;
    Ok(Some((answer, is_page, next)))
}
