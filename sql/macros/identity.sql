{# An e-mail address as mail servers compare it. #}
{% macro email_key(email) -%}
nullif(lower(trim({{ email }})), '')
{%- endmacro %}

{# The nine digits of a Spanish telephone number, however it is written. #}
{% macro phone_digits(phone) -%}
nullif(right(regexp_replace({{ phone }}, '[^0-9]', '', 'g'), 9), '')
{%- endmacro %}
