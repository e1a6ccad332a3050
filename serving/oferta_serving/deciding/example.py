"""An answer as an example, for the API's documentation; a test holds it to the documented shape."""

from typing import Final

from pydantic import JsonValue

EXAMPLE: Final[dict[str, JsonValue]] = {
    "decision_id": "d_0a35d1f2c3b4a5968778695a4b",
    "decision_type": "marketing",
    "outcome": "offers",
    "channel": "app",
    "offers": [
        {
            "rank": 1,
            "offer_id": "balloon-refinance",
            "products": ["balloon-refinance-loan"],
            "family": "loan",
            "channel": "app",
            "placement": "home",
            "provider": "own_book",
            "fulfilment": "digital",
            "name": {"en": "Refinance your balloon", "zh": "尾款再融资"},
            "summary": {"en": "The last payment in instalments.", "zh": "期末尾款分期偿还。"},
            "incentive": {
                "text": {"en": "The first fee is on us.", "zh": "首笔费用由我们承担。"},
                "amount": 70.0,
                "funder": "own book",
            },
            "terms": {
                "kind": "equal_instalment",
                "product": "balloon-refinance-loan",
                "currency": "EUR",
                "start": "2026-11-23",
                "amount": 7000.0,
                "deposit": 0.0,
                "months": 36,
                "rate": 5.4,
                "annual_rate": 6.25,
                "instalment": 211.06,
                "final_payment": 0.0,
                "price": 0.0,
                "residual": 0.0,
                "fees": [{"name": "arrangement", "amount": 70.0, "paid": "start"}],
                "total_payable": 7668.16,
                "total_cost": 668.16,
                "excess": None,
                "mileage_km_year": None,
                "holiday_months": 0,
                "guarantor": False,
                "cover": None,
                "changes": [],
                "card": "2026-10@3f9ac2d14b07",
            },
            "score": {
                "value": 59.136,
                "accept": 0.12,
                "accept_from": "calibrated",
                "approved": 0.88,
                "margin": 210.0,
                "expected_loss": 70.0,
                "context": 4.0,
                "weights": [{"name": "balloon-due", "factor": 4.0}],
                "lever": 1.0,
                "levers": [],
                "neutral": ["lever"],
            },
            "reasons": [
                {
                    "code": "weight.balloon-due",
                    "factor": "context",
                    "text": {
                        "en": "The last payment of your contract falls due within two months.",
                        "zh": "您合同的期末尾款将在两个月内到期。",
                    },
                }
            ],
            "selection": "best",
            "probability": 0.98,
        }
    ],
    "why": [],
    "later_on": None,
    "personalised": True,
    "disclosure": {
        "en": "These offers were chosen by automated processing of what we know about you.",
        "zh": "这些方案由系统根据您的信息自动选出。",
    },
    "control": False,
    "decided_at": "2026-11-23T11:00:00Z",
    "age_s": 5120.0,
    "versions": {
        "policy": "20fb828708a1",
        "catalogue": "c05a904e6544",
        "rate_card": "29b9236698348046",
        "release": 7,
        "model": "propensity/3",
    },
    "level": "L0",
    "degraded_reason": None,
    "dry_run": False,
    "repeated": False,
    "degraded": False,
    "stale": False,
}
