with source as (
    select * from {{ source('erp', 'cards') }}
)

select
    tarjeta as card_id,
    trim(nombre) as first_name,
    trim(apellidos) as last_name,
    cast(fecha_nacimiento as date) as born_on,
    -- Who gave no address has the form's placeholder.
    {{ email_key("nullif(email, 'NULL')") }} as email,
    {{ phone_digits('telefono') }} as phone,
    direccion as street,
    codigo_postal as postcode,
    municipio as city,
    cod_provincia as province_code,
    tienda_alta as store_id,
    cast(fecha_alta as date) as issued_on,
    {{ store_time_to_utc('updated_at') }} as updated_at
from source
