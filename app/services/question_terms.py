"""The words of a question in index form, with their translations, to rank sentences of either language."""

from __future__ import annotations

from app.answering.language import Language, language_of
from app.answering.relevance import QuestionTerms
from app.core.porter import stem
from app.index.dictionary import Dictionary
from app.index.terms import fold, query_terms

TRANSLATED_WEIGHT = 0.6  # a learned translation is right about that often


def question_terms(question: str, dictionary: Dictionary) -> QuestionTerms:
    translated = dictionary.expand(question, to_chinese=language_of(question) is Language.ENGLISH)
    weights = {term: TRANSLATED_WEIGHT * min(1.0, weight) for term, weight in translated.items()}
    weights.update(query_terms(question))
    return QuestionTerms(weights, fold, stem)
