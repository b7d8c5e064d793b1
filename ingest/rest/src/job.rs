//! Exports that the system prepares while we wait: submit, poll, download.

use std::sync::Arc;

use cordada_core::{Error, Result};
use cordada_http::outgoing::{Addition, Outgoing, ShownPlace, join, same_host, text};
use cordada_http::template::Scope;
use futures::{StreamExt, stream};
use serde_json::{Value as Json, json};

use super::page::{Origin, Page, Pages, Run};
use super::plan::{JobPlan, Plan};

/// Where the result of a job is.
enum ResultPlace {
    /// At an address that the system gave.
    Url(String),
    /// At the manifest's request.
    Request,
}

/// Which step comes next.
enum Step {
    Submit,
    Download { job: Json, place: ResultPlace },
    End,
}

/// The result of the stream's job, part by part.
pub(crate) fn pages(run: Arc<Run>, plan: Arc<Plan>, scope: Scope, origin: Arc<Origin>) -> Pages {
    stream::try_unfold(Step::Submit, move |step| {
        let (run, plan, scope, origin) = (run.clone(), plan.clone(), scope.clone(), origin.clone());
        async move {
            let Some(work) = &plan.job else {
                return Ok(None);
            };
            let (job, place) = match step {
                Step::End => return Ok(None),
                Step::Submit => {
                    let job = submit(&run, work, &scope).await?;
                    match poll(&run, work, &scope.with("job", &job)).await? {
                        Some(place) => (job, place),
                        None => return Ok(None),
                    }
                }
                Step::Download { job, place } => (job, place),
            };
            let outgoing = download(&run, work, &scope, &job, place)?;
            let Some(answer) = run.engine.ask(&outgoing, &work.result, &run.cancel).await? else {
                return Ok(None);
            };
            let locator = work.job.locator_header.as_ref().and_then(|name| answer.header(name));
            let next = match locator.filter(|locator| !locator.is_empty() && *locator != "null") {
                None => Step::End,
                Some(locator) if job.get("locator").and_then(Json::as_str) == Some(locator) => {
                    return Err(Error::failed(
                        format!("reading the result of {}", plan.name),
                        "its parts would never end",
                    ));
                }
                Some(locator) => {
                    let id = job.get("id").cloned().unwrap_or_default();
                    Step::Download {
                        job: json!({"id": id, "locator": locator}),
                        place: ResultPlace::Request,
                    }
                }
            };
            Ok(Some((Page { answer, origin }, next)))
        }
    })
    .boxed()
}

/// Submits the job. `job` in templates: its id, no locator.
async fn submit(run: &Run, work: &JobPlan, scope: &Scope) -> Result<Json> {
    // A submission may look at the job too, before there is one.
    let scope = scope.with("job", json!({"id": null, "locator": null}));
    let outgoing = run.engine.outgoing(&work.submit, &scope, &Addition::default())?;
    let doing = || format!("submitting a job at {}", outgoing.place.text);
    let answer = run.engine.ask(&outgoing, &work.submitted, &run.cancel).await?;
    let id = match &work.job.id {
        None => Json::Null,
        Some(pointer) => {
            let id = answer
                .and_then(|answer| answer.value(pointer))
                .filter(|id| !id.is_null());
            id.ok_or_else(|| Error::failed(doing(), format!("the answer has no id at {pointer}")))?
        }
    };
    Ok(json!({"id": id, "locator": null}))
}

/// Waits until the job is done; where its result is, if it has one.
async fn poll(run: &Run, work: &JobPlan, scope: &Scope) -> Result<Option<ResultPlace>> {
    let clock = &run.engine.clock;
    let deadline = clock.elapsed() + work.job.timeout.0;
    loop {
        clock.wait(work.job.every.0, &run.cancel).await?;
        let outgoing = run.engine.outgoing(&work.poll, scope, &Addition::default())?;
        let doing = || format!("waiting for a job at {}", outgoing.place.text);
        let answer = run.engine.ask(&outgoing, &work.polled, &run.cancel).await?;
        let status = answer
            .as_ref()
            .and_then(|answer| text(&answer.value(&work.job.status)?))
            .unwrap_or_default();
        if work.job.failed.contains(&status) {
            return Err(Error::failed(doing(), format!("the job ended as {status}")).hint("run again"));
        }
        if work.job.done.contains(&status) {
            let Some(pointer) = &work.job.url else {
                return Ok(Some(ResultPlace::Request));
            };
            let url = answer
                .and_then(|answer| text(&answer.value(pointer)?))
                .filter(|url| !url.is_empty());
            return Ok(url.map(ResultPlace::Url));
        }
        if clock.elapsed() >= deadline {
            let seconds = work.job.timeout.0.as_secs();
            return Err(
                Error::unavailable(doing(), format!("the job is not done after {seconds} s: {status}"))
                    .hint("run again later, or raise `job.timeout` in the manifest"),
            );
        }
    }
}

fn download(run: &Run, work: &JobPlan, scope: &Scope, job: &Json, place: ResultPlace) -> Result<Outgoing> {
    let engine = &run.engine;
    match (place, &work.download) {
        (ResultPlace::Request, Some(request)) => {
            engine.outgoing(request, &scope.with("job", job), &Addition::default())
        }
        (ResultPlace::Url(url), _) => {
            let url = join(&engine.base.url, &url)?;
            if same_host(&engine.base.url, url.clone()).is_ok() {
                let added = Addition {
                    url: Some(url),
                    ..Addition::default()
                };
                return engine.outgoing(&cordada_http::system::request::Request::default(), scope, &added);
            }
            // Results lie in the storage of somebody else; the address itself is the permission.
            Ok(Outgoing {
                method: reqwest::Method::GET,
                place: ShownPlace::of_host(&url),
                url,
                headers: reqwest::header::HeaderMap::new(),
                body: None,
                credentials: false,
                failure: None,
                probing: false,
            })
        }
        (ResultPlace::Request, None) => Err(Error::config(
            "reading the result of a job",
            "the manifest does not say where it is",
        )),
    }
}
