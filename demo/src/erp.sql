-- The ERP of the stores. Names are Spanish, times are those of the clocks in the stores, without a zone.

create table clientes (
    id integer primary key,
    tarjeta char(13) not null unique,
    nombre varchar(60) not null,
    apellidos varchar(80) not null,
    fecha_nacimiento date,
    telefono varchar(20),
    email varchar(120) not null,
    direccion varchar(120) not null,
    codigo_postal char(5) not null,
    municipio varchar(60) not null,
    cod_provincia char(2) not null,
    tienda_alta char(4) not null,
    fecha_alta date not null,
    updated_at datetime not null
);

create table consentimientos (
    id integer primary key,
    tarjeta char(13) not null references clientes (tarjeta),
    finalidad varchar(10) not null,
    decision char(1) not null,
    fecha datetime not null,
    caduca date,
    canal varchar(10) not null
);

create table tickets (
    id integer primary key,
    num_ticket varchar(20) not null,
    fecha_hora datetime not null,
    cod_tienda char(4) not null,
    caja smallint not null,
    tarjeta char(13) references clientes (tarjeta),
    forma_pago varchar(10) not null,
    num_lineas smallint not null,
    importe decimal(10, 2) not null,
    updated_at datetime not null
);

create table lineas_ticket (
    id integer primary key,
    num_ticket varchar(20) not null,
    num_linea smallint not null,
    articulo integer not null,
    cantidad decimal(10, 3) not null,
    precio decimal(10, 2) not null,
    descuento decimal(10, 2) not null,
    importe decimal(10, 2) not null,
    iva decimal(4, 2) not null
);
