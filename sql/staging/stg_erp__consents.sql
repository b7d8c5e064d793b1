with source as (
    select * from {{ source('erp', 'consents') }}
)

select
    tarjeta as card_id,
    case finalidad
        when 'EMAIL' then 'email_marketing'
        when 'SMS' then 'sms_marketing'
        when 'PERFILADO' then 'profiling'
    end as purpose,
    case decision when 'S' then 'granted' when 'N' then 'withdrawn' end as status,
    {{ store_time_to_utc('fecha') }} as decided_at,
    cast(caduca as date) as expires_on,
    case canal when 'FORMULARIO' then 'registration' else 'customer_service' end as decided_through
from source
