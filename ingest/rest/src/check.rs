//! Whether a system is there and takes the credentials, without landing anything.

use std::sync::Arc;

use cordada_core::Result;
use cordada_http::decode::Format;
use cordada_http::outgoing::Addition;

use super::page::Run;
use super::paginate::{Pager, Position};
use super::parents::Range;
use super::plan::Plan;

/// Sends the manifest's `check`; else asks for the first page of the stream, or of the one that its parents are of.
///
/// # Errors
/// Unavailable for a system that cannot be reached, config for one that refuses the credentials.
pub(crate) async fn check(run: &Arc<Run>, plan: &Arc<Plan>) -> Result<()> {
    let engine = &run.engine;
    if let Some(request) = &run.manifest.check {
        let scope = engine.scope(run.load_at);
        let outgoing = engine.outgoing(&run.manifest.effective(request), &scope, &Addition::default())?;
        let options = Arc::new(engine.answer_options(Format::Json, None, []));
        return engine.ask(&outgoing, &options, &run.cancel).await.map(|_| ());
    }
    let mut plan = plan;
    while let Some(parent) = &plan.parent {
        plan = &parent.plan;
    }
    if plan.job.is_some() {
        // To submit one is more than a question.
        return engine.prove_credentials(&run.cancel).await;
    }
    // The last range is mostly the smallest.
    let range = Range::everything(plan, run, None)?.pop().unwrap_or_default();
    let pager = Pager::new(&plan.paginate, 1, Position::default());
    let scope = range
        .scope(plan, plan.scope(run.load_at), None)
        .with("page", pager.scope());
    let outgoing = engine.outgoing(&plan.request, &scope, &pager.addition()?)?;
    engine.ask(&outgoing, &plan.answers, &run.cancel).await.map(|_| ())
}
