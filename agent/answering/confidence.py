"""How likely an open answer is right, from the model's own likelihoods.

The log-odds of an answer are its mean log-likelihood per token less that of a refusal after the
same prompt. A logistic function, fitted for a model on questions kept for that, turns them into a
probability (Platt scaling; Platt, 1999).
"""

from dataclasses import replace
from math import exp, log

from agent.answer import Usage
from agent.answering.conversation import option_likelihoods
from agent.answering.support import NOT_KNOWN, is_refusal
from agent.models.chat_model import ChatModel
from agent.records import Ask, CandidateAnswer
from agent.settings import ChatSettings


def with_odds(
    candidate: CandidateAnswer, asked: Ask, chat: ChatModel, settings: ChatSettings
) -> tuple[CandidateAnswer, Usage]:
    """Return an open answer with its log-odds, where the model was calibrated and can score."""
    wanted = settings.calibration is not None and chat.capabilities.option_scoring
    plain = not (asked.follow_ups or asked.parity or asked.tokens) and asked.samples == 1
    if not (wanted and plain and candidate.text) or is_refusal(candidate.text):
        return candidate, Usage()
    likely, usage = option_likelihoods(asked.turns, (candidate.text, NOT_KNOWN), chat)
    return replace(candidate, odds=log(likely[0] / likely[1])), usage


def calibrated(candidate: CandidateAnswer, settings: ChatSettings) -> CandidateAnswer:
    """Return an accepted answer with its probability; one that is too unlikely is withheld."""
    if candidate.odds is None or settings.calibration is None or candidate.choice is not None:
        return candidate
    intercept, slope = settings.calibration
    probability = 1 / (1 + exp(-(intercept + slope * candidate.odds)))
    found = replace(candidate, confidence=probability, measured_by="calibrated")
    if probability >= settings.abstain_below:
        return found
    why = f"the answer would be right with a probability of {probability:.0%} only"
    return replace(found, accepted=False, refused=True, reason=why)
