//! Whether a system is there, takes the credentials and has what a stream asks for, without landing anything.

use std::sync::Arc;

use cordada_core::{Error, ErrorKind, Result};
use cordada_http::decode::Format;
use cordada_http::outgoing::Addition;
use tokio::sync::Mutex;

use super::page::{Origin, Page, Run};
use super::paginate::{Pager, Position};
use super::parents::{self, Range};
use super::plan::Plan;

/// What the system answered to the manifest's own check, which is asked once for all streams.
#[derive(Default)]
pub(crate) struct Checked(Mutex<Option<Result<()>>>);

impl Checked {
    /// Asks the manifest's `check`, if it has one.
    ///
    /// # Errors
    /// Unavailable for a system that cannot be reached, config for one that refuses the credentials.
    pub(crate) async fn system(&self, run: &Run) -> Result<()> {
        let Some(request) = &run.manifest.check else {
            return Ok(());
        };
        let mut answered = self.0.lock().await;
        if answered.is_none() {
            let engine = &run.engine;
            let scope = engine.scope(run.load_at);
            let outgoing = engine.outgoing(&run.manifest.effective(request), &scope, &Addition::default())?;
            let options = Arc::new(engine.answer_options(Format::Json, None, []));
            let answer = engine.ask(&outgoing, &options, &run.cancel).await.map(|_| ());
            // What may be otherwise in a moment is not kept for the other streams.
            if let Err(error) = &answer
                && error.kind() != ErrorKind::Config
            {
                return answer;
            }
            *answered = Some(answer);
        }
        match &*answered {
            Some(Err(error)) => Err(error.again()),
            _ => Ok(()),
        }
    }

    /// It is to be asked again.
    pub(crate) fn forget(&self) {
        if let Ok(mut answered) = self.0.try_lock() {
            *answered = None;
        }
    }
}

/// Asks for what the stream asks for, once: the first page of its last range; of a child, for the first parent. A job
/// is not submitted, which is more than a question.
///
/// # Errors
/// As [`Checked::system`]; failed for a stream that the system does not have.
pub(crate) async fn check(run: &Arc<Run>, plan: &Arc<Plan>) -> Result<()> {
    first_page(run, plan).await.map(|_| ())
}

/// The first page of a stream; none if there is no parent, or nothing is asked for.
async fn first_page(run: &Arc<Run>, plan: &Arc<Plan>) -> Result<Option<Page>> {
    let mut scope = plan.scope(run.load_at);
    let mut origin = Origin::default();
    if let Some(parent) = &plan.parent {
        let Some(page) = Box::pin(first_page(run, &parent.plan)).await? else {
            return Ok(None);
        };
        let Some(first) = parents::read(parent, &page, None, &Range::default())?
            .into_iter()
            .next()
        else {
            return Ok(None);
        };
        scope = scope.with("parent", first.fields);
        origin = first.origin;
    }
    if plan.job.is_some() {
        run.engine.prove_credentials(&run.cancel).await?;
        return Ok(None);
    }
    // The last range is mostly the smallest.
    let range = Range::everything(plan, run, None)?.pop().unwrap_or_default();
    let pager = Pager::new(&plan.paginate, 1, Position::default());
    let scope = range.scope(plan, scope, None).with("page", pager.scope());
    let mut added = pager.addition()?;
    let request = match &plan.check {
        Some(check) => {
            // What it sets is not the pages' to set.
            added.params.retain(|(name, _)| !check.params.contains_key(name));
            check.over(&plan.request)
        }
        None => plan.request.clone(),
    };
    let outgoing = run.engine.outgoing(&request, &scope, &added)?;
    let answer = run.engine.ask(&outgoing, &plan.answers, &run.cancel).await;
    let answer = answer.map_err(|error: Error| error.with("stream", &plan.name))?;
    let origin = Arc::new(origin);
    Ok(answer.map(|answer| Page { answer, origin }))
}
