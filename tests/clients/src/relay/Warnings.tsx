import { graphql, useLazyLoadQuery, useMutation } from 'react-relay';

import type { WarningsDismissMutation } from './__generated__/WarningsDismissMutation.graphql.ts';
import type { WarningsQuery } from './__generated__/WarningsQuery.graphql.ts';

export function Warnings() {
  const { insights } = useLazyLoadQuery<WarningsQuery>(
    graphql`
      query WarningsQuery {
        insights(first: 3, filter: { severity: [WARNING, CRITICAL] }) @connection(key: "Warnings_insights") {
          __id
          edges {
            node {
              id
              title
              viewerCanDismiss
            }
          }
        }
      }
    `,
    {},
  );
  const [dismiss] = useMutation<WarningsDismissMutation>(graphql`
    mutation WarningsDismissMutation($ids: [ID!]!, $connections: [ID!]!) {
      dismissInsights(input: { ids: $ids }) {
        insights {
          id @deleteEdge(connections: $connections)
        }
        userErrors {
          message
        }
      }
    }
  `);
  if (!insights) return <p>Insights are not for you.</p>;
  const ids = insights.edges.filter(({ node }) => node.viewerCanDismiss).map(({ node }) => node.id);
  return (
    <>
      <ul>
        {insights.edges.map(({ node }) => (
          <li key={node.id} id={node.id}>
            {node.title}
          </li>
        ))}
      </ul>
      <button name="dismiss" onClick={() => dismiss({ variables: { ids, connections: [insights.__id] } })} />
    </>
  );
}
