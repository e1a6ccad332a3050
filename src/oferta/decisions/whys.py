"""Why there is no offer, in words that may be read to the customer."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from oferta.catalogue.texts import Text

WHYS: Final[Mapping[str, Text]] = MappingProxyType(
    {
        code: Text(en=en, zh=zh)
        for code, en, zh in (
            ("catalogue.empty", "There is nothing on offer here", "此处暂无可提供的方案"),
            ("candidates.none", "None of the offers asked for exists here", "没有符合要求的方案"),
            ("control.group", "No personalised offers for now", "目前不提供个性化方案"),
            ("product.not_scored", "Held already, or not scored for you", "您已拥有，或未对您评分"),
            ("product.bought", "You have just taken this", "您刚刚已办理"),
            ("product.declined", "You said no to this lately", "您近期已表示不需要"),
            ("offer.not_approved", "No offer is open at the moment", "目前没有开放的方案"),
            ("offer.not_started", "The offer has not begun yet", "方案尚未开始"),
            ("offer.ended", "The offer has ended", "方案已结束"),
            ("placement.family", "Nothing of this kind is offered here", "此处不提供该类方案"),
            ("placement.channel", "Not offered through this channel", "此渠道不提供该方案"),
            (
                "customer.vulnerable",
                "We make no promotional offers on this account",
                "我们不向此账户推送营销方案",
            ),
            (
                "customer.in_arrears",
                "While an instalment is due, we help with the contract you have",
                "在有逾期款项期间,我们只协助处理现有合同",
            ),
            ("rule.eligibility", "The conditions of the offer are not met", "不满足方案的条件"),
            ("rule.applicability", "It is not the right moment yet", "目前还不是合适的时机"),
            ("rule.suitability", "It would not suit your situation", "不适合您目前的情况"),
            ("filter", "Nothing fits the filter of the request", "没有符合筛选条件的方案"),
            (
                "consent.marketing",
                "You have not agreed to marketing messages",
                "您未同意接收营销信息",
            ),
            (
                "consent.channel",
                "You have not agreed to messages on this channel",
                "您未同意通过此渠道接收信息",
            ),
            ("quiet.hours", "It is too late or too early to write", "当前为免打扰时段"),
            ("cap.reached", "You have heard from us often enough for now", "近期联系次数已达上限"),
            ("cap.total", "The contingent of this offer is used up", "该方案的名额已用完"),
            ("silence.decline", "You said no to this recently", "您近期已谢绝该方案"),
            ("silence.later", "You asked us to come back later", "您希望我们稍后再联系"),
            ("silence.complaint", "You complained about this recently", "您近期对此提出过投诉"),
            ("silence.accept", "You have just taken this", "您刚刚已选择该方案"),
            ("card.none", "No price is stated for this case", "此情况暂无报价"),
            ("amount.range", "The amount is outside what is offered", "金额超出可提供的范围"),
            ("amount.unknown", "The amount is not known", "金额未知"),
            ("car_value.unknown", "The value of the car is not known", "车辆价值未知"),
            (
                "ltv.exceeded",
                "The amount is too high for the car's value",
                "金额超出车辆价值允许的比例",
            ),
            (
                "affordability.exceeded",
                "The instalment would be too high for the budget",
                "月供超出可承受范围",
            ),
            ("affordability.unknown", "Income is not known", "收入情况未知"),
            ("budget.exceeded", "It costs more than the stated budget", "费用超出您的预算"),
            (
                "instalment.not_lower",
                "It would not make the instalment lower",
                "无法降低您目前的月供",
            ),
            ("kind.unsupported", "This kind of terms is not offered", "暂不提供此类条款"),
            ("value.negative", "No offer is worth making now", "目前没有合适的方案"),
            ("margin.unknown", "No offer is worth making now", "目前没有合适的方案"),
            ("diversity.family", "Enough of this kind is shown already", "同类方案已足够"),
            ("diversity.product", "The product is shown already", "该产品已展示"),
            ("room", "There is no room for more", "展示位置已满"),
        )
    }
)
"""By rejection code."""

STAFF: Final[Mapping[str, Text]] = MappingProxyType(
    {
        "offer.not_approved": Text(
            en="This offer is not approved: its status in the catalogue is another",
            zh="该方案未获批准：目录中的状态并非“已批准”",
        ),
        "value.negative": Text(
            en="This offer is worth nothing to the seller in this case",
            zh="此情况下该方案对销售方没有正收益",
        ),
        "margin.unknown": Text(
            en="The margin of this offer is not known in this case",
            zh="此情况下该方案的利润未知",
        ),
    }
)
"""What a receipt says of one offer, where the customer's text speaks of all offers instead."""
