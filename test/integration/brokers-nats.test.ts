import { brokerSuite } from '../support/broker-suite.ts';
import { NATS } from '../support/broker-table.ts';

brokerSuite(NATS);
