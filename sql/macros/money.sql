{# An amount of money, exact to the cent. #}
{% macro money(expression) -%}
cast({{ expression }} as decimal(18, 2))
{%- endmacro %}

{# A share between 0 and 1; null where there is nothing to divide by. #}
{% macro share(part, whole) -%}
round(cast({{ part }} as double) / nullif(cast({{ whole }} as double), 0), 4)
{%- endmacro %}
