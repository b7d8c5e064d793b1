//! Answers that are given again: the messages of a DoGet, as they were sent.

use std::sync::Arc;

use bytes::Buf;
use cordada_lake::Lake;
use cordada_query::{Answers, Question};
use futures::{StreamExt, stream};

use crate::message::Message;
use crate::options::Compression;
use crate::rows::Messages;
use crate::wire::Types;

/// The form in which a client takes an answer.
pub(crate) type Form = (Types, Compression);

/// The answers that are kept.
#[derive(Debug)]
pub(crate) struct GivenAnswers(Arc<Answers<(Question, Form), Message>>);

impl GivenAnswers {
    /// None yet, in a share of the lake's memory.
    pub(crate) fn new(lake: &Lake) -> Self {
        Self(Answers::of(lake))
    }

    /// The answer to that question in that form, if it is kept.
    pub(crate) fn get(&self, question: &Question, form: Form) -> Option<Messages> {
        let parts = self.0.get(&(question.clone(), form))?;
        let messages = (0..parts.len()).map(move |part| Ok(parts[part].clone()));
        Some(stream::iter(messages).boxed())
    }

    /// The answer, which is kept once it was sent to its end.
    pub(crate) fn keep(&self, question: &Question, form: Form, answer: Messages) -> Messages {
        let recording = self.0.record((question.clone(), form), question.bytes());
        stream::unfold(Some((answer, recording)), |state| async move {
            let (mut answer, mut recording) = state?;
            match answer.next().await {
                Some(Ok(message)) => {
                    // Without the memory of the query behind it.
                    recording.push(message.remaining(), || message.apart());
                    Some((Ok(message), Some((answer, recording))))
                }
                Some(Err(error)) => Some((Err(error), None)),
                None => {
                    recording.finish();
                    None
                }
            }
        })
        .boxed()
    }
}
