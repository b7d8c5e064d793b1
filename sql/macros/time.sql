{# What a clock in a store showed, as a timestamp or a text without a zone, as a point in time. #}
{% macro store_time_to_utc(clock) -%}
arrow_cast(
    arrow_cast({{ clock }}, 'Timestamp(Microsecond, None)') at time zone '{{ var("timezone") }}',
    'Timestamp(Microsecond, Some("UTC"))'
)
{%- endmacro %}

{# The day that a calendar in a store shows at a point in time. #}
{% macro local_date(timestamp) -%}
cast(to_local_time({{ timestamp }} at time zone '{{ var("timezone") }}') as date)
{%- endmacro %}

{# The moment at which a day in a store is over. #}
{% macro end_of_day(day) -%}
arrow_cast(
    arrow_cast({{ day }} + interval '1 day', 'Timestamp(Microsecond, None)') at time zone '{{ var("timezone") }}',
    'Timestamp(Microsecond, Some("UTC"))'
)
{%- endmacro %}

{# The month of a date, as its first day. #}
{% macro month_of(day) -%}
cast(date_trunc('month', {{ day }}) as date)
{%- endmacro %}

{# The last day that the data knows: ages are counted from it, so that the same data always gives the same figures. #}
{% macro today() -%}
(select max(ordered_on) from {{ ref('fct_order') }})
{%- endmacro %}
