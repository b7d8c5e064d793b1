{#
What is believed of several records of one person. The shop's spelling of a name wins, because its owner typed it; what
changes in a life is as the last record has it, and an address is one address.
#}
{% macro golden_rules() -%}
{{ return({
    'first_name': ['source', 'newest'],
    'last_name': ['source', 'longest', 'newest'],
    'email': ['source', 'newest'],
    'phone': ['newest'],
    'born_on': ['newest'],
    'address': {'columns': ['street', 'postcode', 'city', 'province_code'], 'by': ['complete', 'newest']}
}) }}
{%- endmacro %}

{# The systems that records come from, the one that is believed most first. #}
{% macro golden_sources() -%}
{{ return(['shop', 'erp']) }}
{%- endmacro %}
