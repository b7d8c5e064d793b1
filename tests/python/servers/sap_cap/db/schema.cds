// A shop for climbing gear as SAP's programming model would have it: keys of several kinds, exact decimals, times.
namespace shop;

using { managed, cuid } from '@sap/cds/common';

entity Brands {
  key code : String(8);
      name : String(80);
      products : Association to many Products on products.brand = $self;
}

entity Products : managed {
  key id        : Integer;
      title     : String(120);
      brand     : Association to Brands;
      price     : Decimal(12, 3);
      stock     : Integer64;
      weight    : Double;
      discontinued : Boolean default false;
      launched  : Date;
}

entity Orders : cuid, managed {
      number    : String(16);
      placed_at : Timestamp;
      customer  : String(80);
      items     : Composition of many {
        key position : Integer;
            product  : Association to Products;
            quantity : Integer;
            amount   : Decimal(15, 2);
      }
}
