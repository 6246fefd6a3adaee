"""The Grafana dashboard of the stages, as code.

``queries`` writes PromQL over the metric catalogue, ``panels`` says what a panel looks like, ``content`` says
which panels there are, and ``layout`` puts them together.  A new panel is one more entry in ``content``.
"""

from stage_dashboard.layout import dashboard_json

__all__ = ["dashboard_json"]
