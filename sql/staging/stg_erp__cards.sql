with source as (
    select * from {{ source('erp', 'cards') }}
)

select
    cast(tarjeta as varchar) as card_id,
    trim(nombre) as first_name,
    trim(apellidos) as last_name,
    {{ spanish_date('fecha_nacimiento') }} as born_on,
    {{ email_key('email') }} as email,
    {{ phone_digits('telefono') }} as phone,
    direccion as street,
    lpad(cast(codigo_postal as varchar), 5, '0') as postcode,
    municipio as city,
    lpad(cast(cod_provincia as varchar), 2, '0') as province_code,
    tienda_alta as store_id,
    {{ spanish_date('fecha_alta') }} as issued_on,
    {{ local_time_to_utc('fecha_modificacion') }} as updated_at
from source
