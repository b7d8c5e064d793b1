{# The generic tests and the cross-engine macros that every project has, as dbt has them. #}

{% test unique(model, column_name) %}
select {{ column_name }} as unique_field, count(*) as n_records
from {{ model }}
where {{ column_name }} is not null
group by {{ column_name }}
having count(*) > 1
{% endtest %}

{% test not_null(model, column_name) %}
select {{ column_name }} from {{ model }} where {{ column_name }} is null
{% endtest %}

{% test accepted_values(model, column_name, values, quote=true) %}
select value_field, n_records
from (
    select {{ column_name }} as value_field, count(*) as n_records
    from {{ model }}
    group by {{ column_name }}
) as all_values
where value_field not in (
    {%- for value in values -%}
        {%- if quote -%}'{{ value | string | replace("'", "''") }}'{%- else -%}{{ value }}{%- endif -%}
        {%- if not loop.last %}, {% endif -%}
    {%- endfor -%}
)
{% endtest %}

{% test relationships(model, column_name, to, field) %}
select child.from_field
from (select {{ column_name }} as from_field from {{ model }} where {{ column_name }} is not null) as child
left join (select {{ field }} as to_field from {{ to }}) as parent on child.from_field = parent.to_field
where parent.to_field is null
{% endtest %}

{% macro should_store_failures() %}{{ return(false) }}{% endmacro %}

{% macro date_trunc(datepart, date) %}date_trunc('{{ datepart }}', {{ date }}){% endmacro %}

{% macro dateadd(datepart, interval, from_date_or_timestamp) -%}
({{ from_date_or_timestamp }} + ({{ interval }}) * interval '1 {{ datepart }}')
{%- endmacro %}

{% macro current_timestamp() %}now(){% endmacro %}

{% macro safe_cast(field, type) %}try_cast({{ field }} as {{ type }}){% endmacro %}

{% macro cast(field, type) %}cast({{ field }} as {{ type }}){% endmacro %}

{% macro concat(fields) %}{{ fields | join(' || ') }}{% endmacro %}

{% macro hash(field) %}md5(cast({{ field }} as varchar)){% endmacro %}

{% macro length(expression) %}length({{ expression }}){% endmacro %}

{% macro position(substring_text, string_text) %}strpos({{ string_text }}, {{ substring_text }}){% endmacro %}

{% macro replace(field, old_chars, new_chars) %}replace({{ field }}, {{ old_chars }}, {{ new_chars }}){% endmacro %}

{% macro right(string_text, length_expression) %}right({{ string_text }}, {{ length_expression }}){% endmacro %}

{% macro split_part(string_text, delimiter_text, part_number) -%}
split_part({{ string_text }}, {{ delimiter_text }}, {{ part_number }})
{%- endmacro %}

{% macro string_literal(value) %}'{{ value | replace("'", "''") }}'{% endmacro %}

{% macro bool_or(expression) %}bool_or({{ expression }}){% endmacro %}

{% macro any_value(expression) %}first_value({{ expression }}){% endmacro %}

{% macro except() %}except{% endmacro %}

{% macro intersect() %}intersect{% endmacro %}

{% macro type_string() %}varchar{% endmacro %}

{% macro type_timestamp() %}timestamp{% endmacro %}

{% macro type_int() %}int{% endmacro %}

{% macro type_bigint() %}bigint{% endmacro %}

{% macro type_float() %}double{% endmacro %}

{% macro type_numeric() %}decimal(38, 9){% endmacro %}

{% macro type_boolean() %}boolean{% endmacro %}

{# What the constraints of contracts become. #}

{% test constraint_unique(model, columns) %}
select {{ columns | join(', ') }}, count(*) as n_records
from {{ model }}
where {% for column in columns %}{{ column }} is not null{% if not loop.last %} and {% endif %}{% endfor %}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}

{% test constraint_holds(model, expression) %}
select * from {{ model }} where not ({{ expression }})
{% endtest %}
