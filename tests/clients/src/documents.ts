import { graphql } from './gql/index.ts';

export const InsightRow = graphql(`
  fragment InsightRow on Insight {
    id
    title
    severity
    isDismissed
    dismissedBy {
      id
      displayName
    }
  }
`);

export const Warnings = graphql(`
  query Warnings($first: Int!, $after: String) {
    insights(first: $first, after: $after, filter: { severity: [WARNING, CRITICAL] }) {
      edges {
        cursor
        node {
          ...InsightRow
        }
      }
      pageInfo {
        endCursor
        hasNextPage
      }
    }
  }
`);

export const Dismiss = graphql(`
  mutation Dismiss($ids: [ID!]!) {
    dismissInsights(input: { ids: $ids }) {
      insights {
        ...InsightRow
      }
      userErrors {
        code
        message
        field
      }
    }
  }
`);

export const MessageRow = graphql(`
  fragment MessageRow on Message {
    id
    role
    content(maxChars: 200)
    viewerCanRate
    myFeedback {
      id
      thumb
    }
  }
`);

export const Chat = graphql(`
  query Chat($id: ID!, $last: Int!, $before: String) {
    node(id: $id) {
      ... on Conversation {
        id
        title
        messageCount
        messages(last: $last, before: $before) {
          edges {
            cursor
            node {
              ...MessageRow
            }
          }
          pageInfo {
            startCursor
            hasPreviousPage
          }
        }
      }
    }
  }
`);

export const Inbox = graphql(`
  query Inbox($first: Int!, $search: String) {
    conversations(first: $first, filter: { search: $search }) {
      edges {
        node {
          id
          title
          messageCount
        }
      }
    }
  }
`);

export const Rate = graphql(`
  mutation Rate($messageId: ID!, $thumb: Thumb!) {
    submitFeedback(input: { messageId: $messageId, thumb: $thumb }) {
      message {
        id
        myFeedback {
          id
          thumb
        }
      }
      userErrors {
        code
        message
      }
    }
  }
`);

export const Send = graphql(`
  mutation Send($conversationId: ID!, $content: String!) {
    sendMessage(input: { conversationId: $conversationId, content: $content }) {
      messageEdge {
        cursor
        node {
          ...MessageRow
        }
      }
      conversation {
        id
        messageCount
      }
      userErrors {
        code
        message
      }
    }
  }
`);

export const Begin = graphql(`
  mutation Begin($input: CreateConversationInput!, $key: String!) {
    createConversation(input: $input) @idempotent(key: $key) {
      conversation {
        id
        title
        updatedAt
      }
      userErrors {
        code
        message
        field
      }
    }
  }
`);

export const Rename = graphql(`
  mutation Rename($id: ID!, $title: String!, $expectedUpdatedAt: DateTime!) {
    updateConversation(input: { id: $id, title: $title, expectedUpdatedAt: $expectedUpdatedAt }) {
      conversation {
        id
        title
        updatedAt
      }
      userErrors {
        code
        message
      }
    }
  }
`);

export const Spent = graphql(`
  query Spent {
    viewer {
      organization {
        id
        createdAt
      }
      usage {
        cost
        tokens
        budgets {
          id
          limit
        }
      }
    }
  }
`);
