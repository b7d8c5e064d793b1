with lines as (
    select * from {{ ref('fct_invoice_line') }}
    where customer_id is not null
),

final as (
    select
        customer_id,
        -- A few have moved: the country of the last invoice.
        last_value(country order by invoiced_at, line_id) as country,
        min(invoiced_on) as first_invoice_on,
        max(invoiced_on) as last_invoice_on
    from lines
    group by customer_id
)

select * from final
