"""What the synthetic parties let others call their columns, towards the people concerned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from clients.tables.specs import PublishedTitle

_NAMES: Final[Mapping[str, tuple[str, str]]] = {
    "monthly_income": ("月收入", "Monthly income"),
    "card_utilisation": ("信用卡额度使用率", "Share of the card limit in use"),
    "deposit_balance": ("存款余额", "Deposits"),
    "tenure_months": ("成为客户的时间", "Time as a customer"),
    "enquiries_6m": ("近半年信用查询次数", "Credit enquiries in half a year"),
    "late_payments_12m": ("近一年逾期还款次数", "Late payments in a year"),
    "age": ("年龄段", "Age band"),
    "orders_12m": ("近一年下单次数", "Orders in a year"),
    "average_order_value": ("平均订单金额", "Average value of an order"),
    "coupon_rate": ("使用优惠券的比例", "Share of orders with a coupon"),
    "night_order_rate": ("夜间下单的比例", "Share of orders at night"),
    "return_rate": ("退货比例", "Share of orders returned"),
    "instalment_rate": ("分期付款的比例", "Share of orders paid in instalments"),
    "brand_loyalty": ("品牌集中度", "Loyalty to brands"),
    "days_since_order": ("距上次下单的天数", "Days since the last order"),
    "monthly_spend": ("月通信消费", "Monthly telephone bill"),
    "network_age_months": ("在网时长", "Time with the network"),
    "arrears_12m": ("近一年欠费次数", "Arrears in a year"),
    "city_moves_12m": ("近一年常住城市变动", "Moves between cities in a year"),
    "data_gb_month": ("月流量", "Mobile data in a month"),
    "night_call_rate": ("夜间通话的比例", "Share of calls at night"),
}

PUBLISHED: Final[Mapping[str, PublishedTitle]] = {
    column: PublishedTitle(zh=zh, en=en) for column, (zh, en) in _NAMES.items()
}
