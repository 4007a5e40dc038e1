import { brokerSuite } from '../support/broker-suite.ts';
import { RABBITMQ } from '../support/broker-table.ts';

brokerSuite(RABBITMQ);
