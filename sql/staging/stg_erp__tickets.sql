with source as (
    select * from {{ source('erp', 'tickets') }}
),

renamed as (
    select
        num_ticket as ticket_id,
        {{ store_time_to_utc('fecha_hora') }} as sold_at,
        cod_tienda as store_id,
        cast(caja as int) as till,
        tarjeta as card_id,
        case forma_pago when 'TARJETA' then 'card' when 'EFECTIVO' then 'cash' when 'BIZUM' then 'bizum' end as payment,
        cast(num_lineas as int) as line_count,
        {{ money('importe') }} as total_amount
    from source
)

select *, {{ local_date('sold_at') }} as sold_on
from renamed
