// A Vendure shop over one SQLite file. `node server.js populate` fills it with Vendure's own sample data and ends.
const { bootstrap, dummyPaymentHandler, DefaultLogger, LogLevel } = require('@vendure/core');
const { populate } = require('@vendure/core/cli');
const path = require('path');

const filling = process.argv[2] === 'populate';
const config = {
  apiOptions: { hostname: '127.0.0.1', port: Number(process.env.PORT || 0), adminApiPath: 'admin-api', shopApiPath: 'shop-api', adminListQueryLimit: 100 },
  authOptions: {
    tokenMethod: 'bearer',
    superadminCredentials: { identifier: 'superadmin', password: 'superadmin' },
    requireVerification: false,
  },
  dbConnectionOptions: { type: 'sqljs', autoSave: true, location: process.env.DATABASE, synchronize: filling, logging: false },
  paymentOptions: { paymentMethodHandlers: [dummyPaymentHandler] },
  importExportOptions: { importAssetsDir: path.join(__dirname, 'images') },
  logger: new DefaultLogger({ level: LogLevel.Warn, timestamp: false }),
  customFields: {},
  plugins: [],
};

if (filling) {
  const samples = path.join(path.dirname(require.resolve('@vendure/create/package.json')), 'assets');
  populate(() => bootstrap(config), path.join(samples, 'initial-data.json'), process.env.PRODUCTS)
    .then(app => app.close())
    .then(() => process.exit(0))
    .catch(error => { console.error(error); process.exit(1); });
} else {
  bootstrap(config).catch(error => { console.error(error); process.exit(1); });
}
