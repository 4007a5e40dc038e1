import { brokerSuite } from '../support/broker-suite.ts';
import { AEDES } from '../support/broker-table.ts';

brokerSuite(AEDES);
